//! `trailhound verify keys`: CloudTrail's public keys in a file.

use std::io::Write;

use anyhow::Context;
use aws::{Aws, PublicKeys};
use integrity::keys::{KeySource, PublicKey, render};

use crate::args::{KeysCommand, KeysExportArgs};
use crate::exit::Exit;
use crate::output::plural;
use crate::session::Session;

pub(crate) fn run(session: &mut Session, command: &KeysCommand) -> anyhow::Result<Exit> {
    let KeysCommand::Export(arguments) = command;
    export(session, arguments)
}

fn export(session: &mut Session, arguments: &KeysExportArgs) -> anyhow::Result<Exit> {
    session.profile.clone_from(&arguments.profile);
    let (from, to) = super::window(session, &arguments.window)?;
    let aws = Aws::open(&session.access(), None)?;
    let regions = match arguments.regions.is_empty() {
        true => aws.own()?.regions().context("failed to list the regions; name them with --region")?,
        false => arguments.regions.clone(),
    };
    let source = PublicKeys::new(aws.unnamed());
    let mut keys: Vec<PublicKey> = Vec::new();
    let mut exit = Exit::Done;
    for region in &regions {
        match source.keys(region, from, to) {
            Ok(found) => keys.extend(found),
            Err(trouble) => {
                crate::complain_of(region, &trouble.to_string());
                exit = Exit::Rejected;
            }
        }
    }
    let text = render(&keys);
    match &arguments.output {
        None => session.out.text(&text)?,
        Some(path) => {
            let mut file =
                std::fs::File::create(path).with_context(|| format!("failed to write {}", path.display()))?;
            file.write_all(text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))?;
        }
    }
    if !session.global.quiet {
        let regions = plural(regions.len() as u64, "region", "regions");
        crate::complain(&format!("{} of {regions}", plural(keys.len() as u64, "public key", "public keys")));
    }
    Ok(exit)
}
