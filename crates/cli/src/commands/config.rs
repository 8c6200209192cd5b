//! `trailhound config`.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::Context;
use serde_json::Value;

use crate::args::ConfigCommand;
use crate::config;
use crate::exit::{Exit, usage};
use crate::output::Rows;
use crate::session::Session;

pub(crate) fn run(session: &mut Session, command: &ConfigCommand) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Show { format } => {
            let mut rows = Rows::new(&["key", "value", "from"]);
            for (key, value, from) in session.loaded.values()? {
                let value = serde_json::to_value(value)?;
                let value = match value {
                    // A table's cell is text; the other formats keep lists and numbers as they are.
                    Value::Array(_) | Value::Object(_) if *format == crate::args::Format::Table => {
                        Value::String(value.to_string())
                    }
                    other => other,
                };
                rows.push(vec![key.into(), value, from.to_string().into()]);
            }
            rows.write(*format, 3, &mut session.out)?;
        }
        ConfigCommand::Init => {
            let path = &session.config_file;
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
            }
            let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    return Err(usage(format!("{} exists already; it was left as it is", path.display())));
                }
                opened => opened.with_context(|| format!("failed to create {}", path.display()))?,
            };
            file.write_all(config::template().as_bytes())
                .with_context(|| format!("failed to write {}", path.display()))?;
            let line = format!("wrote {}", path.display());
            session.out.line(&line)?;
        }
        ConfigCommand::Path => {
            let lines = [
                format!("home           {}", session.home.display()),
                format!("configuration  {}", session.config_file.display()),
                format!("lake           {}", session.lake_path().display()),
                format!("state          {}", session.state_path().display()),
            ];
            for line in lines {
                session.out.line(&line)?;
            }
        }
    }
    Ok(Exit::Done)
}
