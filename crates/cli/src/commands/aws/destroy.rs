//! `trailhound aws destroy`.

use aws::{Artifacts, Resource, Stacks};
use pipeline::service::CallError;

use super::follow::{Ended, explain, follow, last_event};
use super::{Place, confirm, deploy};
use crate::args::StackArgs;
use crate::exit::Exit;
use crate::output::plural;
use crate::session::Session;

const BUCKET: &str = "AWS::S3::Bucket";

pub(super) fn run(session: &mut Session, arguments: &StackArgs, delete_data: bool, yes: bool) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let names = [place.name.clone(), place.artifacts_stack()];
    let mut found = Vec::new();
    for name in &names {
        if let Some(stack) = place.stacks.find(name)? {
            // What was never made stands there, too, by the name of what may be somebody else's.
            let is_made =
                |resource: &Resource| !["CREATE_FAILED", "DELETE_COMPLETE"].contains(&resource.status.as_str());
            let resources: Vec<Resource> = place.stacks.resources(name)?.into_iter().filter(is_made).collect();
            found.push((name.clone(), stack.id, resources));
        }
    }
    let mut elsewhere = Vec::new();
    let mut exit = Exit::Done;
    for region in deploy::forward_from(&place, &[])? {
        let stacks = place.account.stacks(Some(&region));
        match stacks.find(&place.forwarder_stack()) {
            Ok(None) => {}
            Ok(Some(stack)) => elsewhere.push((region, stacks, stack.id)),
            // Others can be deleted all the same.
            Err(error) => {
                crate::complain(&format!(
                    "error: whether there is a forwarder in {region} cannot be found out: {error}"
                ));
                exit = Exit::Failed;
            }
        }
    }
    if found.is_empty() && elsewhere.is_empty() {
        session.out.line(&format!("there is no stack {} in {}", place.name, place.region))?;
        return Ok(exit);
    }
    for (name, _, resources) in &found {
        session.out.line(&format!("{name}: {}", plural(resources.len() as u64, "resource", "resources")))?;
        for resource in resources {
            match (resource.kind.as_str(), delete_data || *name == place.artifacts_stack()) {
                ("AWS::DynamoDB::Table", _) => session.out.line(&format!("  lost: table {}", resource.physical))?,
                (BUCKET, true) => session.out.line(&format!("  lost: bucket {} and all in it", resource.physical))?,
                (BUCKET, false) => {
                    session.out.line(&format!("  stays if anything is in it: bucket {}", resource.physical))?;
                }
                ("AWS::KMS::Key", _) => session.out.line(&format!("  stays: key {}", resource.physical))?,
                _ => {}
            }
        }
    }
    for (region, _, _) in &elsewhere {
        session.out.line(&format!("{}: the forwarder in {region}", place.forwarder_stack()))?;
    }
    if !confirm(&format!("Delete this in account {}?", place.account.id), yes)? {
        session.out.line("nothing was deleted")?;
        return Ok(Exit::Done);
    }
    let quiet = session.global.quiet;
    for (region, stacks, id) in &elsewhere {
        match delete(&place, stacks, id, &[], true)? {
            None => return Ok(Exit::Interrupted),
            Some(kept) if kept.is_empty() => session.out.line(&format!("the forwarder in {region} is deleted"))?,
            Some(_) => exit = Exit::Failed,
        }
    }
    for (name, id, resources) in &found {
        let is_artifacts = *name == place.artifacts_stack();
        let buckets = resources.iter().filter(|resource| resource.kind == BUCKET && (delete_data || is_artifacts));
        let buckets: Vec<&Resource> = buckets.collect();
        for bucket in &buckets {
            if let Some(number) = empty(&place, bucket)? {
                session.out.line(&format!(
                    "{}: {} deleted",
                    bucket.physical,
                    plural(number, "version of an object", "versions of objects")
                ))?;
            }
        }
        match delete(&place, &place.stacks, id, &buckets, quiet)? {
            None => return Ok(Exit::Interrupted),
            Some(kept) => {
                for resource in &kept {
                    session.out.line(&format!("stays: {} {}", resource.kind, resource.physical))?;
                }
                if kept.iter().any(|resource| resource.kind != BUCKET || delete_data) {
                    exit = Exit::Failed;
                }
                session.out.line(&format!("the stack {name} is deleted"))?;
            }
        }
    }
    Ok(exit)
}

/// Empties a bucket. What cannot be emptied is not deleted either, and that is told when it is tried.
fn empty(place: &Place, bucket: &Resource) -> anyhow::Result<Option<u64>> {
    match Artifacts::new(&place.account, &bucket.physical, &place.region)?.empty() {
        Ok(number) => Ok(Some(number)),
        // A stack that was half made or half deleted names buckets that are not there.
        Err(CallError::NotFound(_)) => Ok(None),
        Err(error) => {
            crate::complain(&format!("{}: {error}", bucket.physical));
            Ok(None)
        }
    }
}

/// Deletes a stack; what cannot be deleted stays and is returned. None where the user has seen enough.
pub(super) fn delete(
    place: &Place,
    stacks: &Stacks,
    id: &str,
    emptied: &[&Resource],
    quiet: bool,
) -> anyhow::Result<Option<Vec<Resource>>> {
    let mut kept: Vec<Resource> = Vec::new();
    // What stays is known only when deleting it has failed; then it is left out of the next try.
    for round in 0..4 {
        let after = last_event(stacks, id)?;
        let names: Vec<String> = kept.iter().map(|resource| resource.name.clone()).collect();
        stacks.delete(id, &names)?;
        match follow(place, stacks, id, after, quiet)? {
            Ended::Well => return Ok(Some(kept)),
            Ended::Interrupted => return Ok(None),
            Ended::Badly(_, causes) => {
                for line in explain(&causes) {
                    crate::complain(&line);
                }
                let failed = stacks.resources(id)?.into_iter().filter(|resource| resource.status == "DELETE_FAILED");
                kept = failed.collect();
                if kept.is_empty() {
                    break;
                }
                // The trail delivers until it is deleted itself: what has come since goes, too.
                let again = |resource: &Resource| emptied.iter().any(|bucket| bucket.physical == resource.physical);
                if round == 0 && kept.iter().any(again) {
                    for bucket in kept.extract_if(.., |resource| again(resource)) {
                        empty(place, &bucket)?;
                    }
                }
            }
        }
    }
    anyhow::bail!("the stack {id} cannot be deleted: its events in CloudFormation say why")
}
