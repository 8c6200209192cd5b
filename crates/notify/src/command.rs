//! `command`: a program of this machine, such as a desktop's notifications.
//!
//! Its arguments are the configuration's alone; the alert comes on standard input, as JSON, and in environment variables.
//! There is no shell, so nothing in an alert is ever a command.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use pipeline::escape::single_line;
use pipeline::message::Message;
use pipeline::notify::{Notifier, Parcel, Verdict};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Command as Process;

use crate::build::{BuildError, Tools};
use crate::card::Card;
use crate::edge::Edge;
use crate::json::ParcelDocument;
use crate::kinds::Kind;

/// The most characters of an environment variable.
const VARIABLE_MAX: usize = 2000;

/// The keys of `kind = "command"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// The program and its arguments. It is run without a shell, and ended when it takes longer than `timeout_seconds`.
    ///
    /// Example: `command = ["/usr/local/bin/page-me", "--urgent"]`
    pub command: Vec<String>,
}

impl Kind for CommandConfig {
    fn build(&self, tools: &mut Tools<'_>) -> Result<Box<dyn Notifier>, BuildError> {
        match self.command.split_first() {
            Some((program, arguments)) if !program.is_empty() => Ok(Box::new(Command {
                program: program.clone(),
                arguments: arguments.to_vec(),
                edge: Arc::clone(&tools.means.edge),
                limit: tools.limit,
            })),
            _ => Err(tools.wrong("command names no program")),
        }
    }
}

struct Command {
    program: String,
    arguments: Vec<String>,
    edge: Arc<Edge>,
    limit: Duration,
}

impl Notifier for Command {
    fn send(&self, parcel: &Parcel) -> Verdict {
        let mut process = Process::new(&self.program);
        process.args(&self.arguments).envs(variables(parcel));
        process.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let document = ParcelDocument::of(parcel, true).text();
        let ended = self.edge.run(self.limit, async move {
            let mut child = process.spawn()?;
            let stdin = child.stdin.take();
            let told = async move {
                if let Some(mut stdin) = stdin {
                    // A program that does not listen has its variables.
                    let _ = stdin.write_all(document.as_bytes()).await;
                }
            };
            let ((), status) = tokio::join!(told, child.wait());
            status
        });
        match ended {
            Some(Ok(status)) if status.success() => Verdict::Delivered,
            Some(Ok(status)) => Verdict::retry(format!("{} ended with {status}", self.program)),
            Some(Err(error)) => Verdict::retry(format!("{} cannot be run: {error}", self.program)),
            None => Verdict::retry(format!("{} was ended after {} s", self.program, self.limit.as_secs())),
        }
    }

    fn preview(&self, parcel: &Parcel) -> String {
        let variables: String = variables(parcel).map(|(name, value)| format!("{name}={value}\n")).collect();
        let mut argv = vec![self.program.clone()];
        argv.extend(self.arguments.iter().cloned());
        format!("{argv:?}\n{variables}\n{}\n", ParcelDocument::of(parcel, true).text())
    }
}

/// What a program can know without reading JSON.
fn variables(parcel: &Parcel) -> impl Iterator<Item = (&'static str, String)> {
    let card = Card::of(parcel);
    let Message { subject, body } = Message::of_parcel(parcel);
    let first = parcel.first();
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let lines = [
        ("TRAILHOUND_ALERT_ID", parcel.key()),
        ("TRAILHOUND_ALERT_COUNT", parcel.count().to_string()),
        ("TRAILHOUND_ALERT_SEVERITY", card.severity.to_string()),
        ("TRAILHOUND_ALERT_SUBJECT", subject),
        ("TRAILHOUND_ALERT_TITLE", card.title),
        ("TRAILHOUND_ALERT_SUMMARY", card.summary.unwrap_or_default()),
        ("TRAILHOUND_ALERT_DETECTION", first.detection.clone()),
        ("TRAILHOUND_ALERT_ACCOUNT", said(&first.account)),
        ("TRAILHOUND_ALERT_REGION", said(&first.region)),
        ("TRAILHOUND_ALERT_USER", said(&first.user)),
        ("TRAILHOUND_ALERT_SOURCE_IP", said(&first.source_ip)),
        ("TRAILHOUND_ALERT_EVENT_NAME", said(&first.event_name)),
        ("TRAILHOUND_ALERT_EVENT_ID", first.event_id.clone()),
    ];
    let lines = lines.into_iter().map(|(name, text)| (name, single_line(&text, VARIABLE_MAX).into_owned()));
    // The message has lines of its own; no text of an event begins one.
    lines.chain([("TRAILHOUND_ALERT_MESSAGE", body)])
}
