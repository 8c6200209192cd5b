//! `trailhound detections`.

use pipeline::pattern::Pattern;
use query::nearest;
use serde_json::{Value, json};

use crate::args::DetectionsCommand;
use crate::exit::{Exit, usage};
use crate::output::Rows;
use crate::session::Session;

/// The detection of this id; where there is none, what to say.
pub(crate) fn known(id: &str) -> Result<&'static detect::Detection, String> {
    detect::find(id).ok_or_else(|| {
        let near = nearest(id, detect::all().iter().map(|detection| detection.id));
        let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        format!("there is no detection {id:?}{hint}")
    })
}

/// A pattern of detections from a flag; an id without wildcards must be one.
pub(crate) fn pattern(id: Option<&str>) -> anyhow::Result<Option<Pattern>> {
    let Some(id) = id else { return Ok(None) };
    if !id.contains(['*', '?']) {
        known(id).map_err(|problem| usage(format!("--detection: {problem}")))?;
    }
    Ok(Some(Pattern::new(id).map_err(|error| usage(format!("--detection: {error}")))?))
}

pub(crate) fn run(session: &mut Session, command: &DetectionsCommand) -> anyhow::Result<Exit> {
    match command {
        DetectionsCommand::List { format } => {
            let config = &session.loaded.config.detect;
            let mut rows =
                Rows::new(&["id", "severity", "techniques", "title", "enabled", "attempted_severity", "summary"]);
            for detection in detect::all() {
                let severity = config.severity.get(detection.id).copied().unwrap_or(detection.severity);
                rows.push(vec![
                    detection.id.into(),
                    severity.as_str().into(),
                    detection.techniques.join(" ").into(),
                    detection.title.into(),
                    Value::Bool(!config.disabled.iter().any(|id| id == detection.id)),
                    json!(detection.attempted_severity.map(detect::Severity::as_str)),
                    detection.docs.summary.into(),
                ]);
            }
            rows.write(*format, 5, &mut session.out)?;
        }
        DetectionsCommand::Show { id } => {
            let detection = known(id).map_err(usage)?;
            let out = &mut session.out;
            let heading =
                format!("{}  {}  {}", out.bold(detection.title), detection.id, out.severity(detection.severity));
            out.line(&heading)?;
            if let Some(attempted) = detection.attempted_severity {
                let line = format!("a denied or failed attempt: {}", out.severity(attempted));
                out.line(&line)?;
            }
            let techniques = format!("ATT&CK: {}", detection.techniques.join(", "));
            out.line(&techniques)?;
            let docs = &detection.docs;
            for (title, text) in [
                ("What it finds", docs.summary),
                ("Why it matters", docs.why),
                ("False positives", docs.false_positives),
                ("What to do", docs.what_to_do),
                ("Action required", detection.action_required),
            ] {
                out.line("")?;
                let title = out.bold(title);
                out.line(&title)?;
                for line in wrapped(text, 96) {
                    out.line(&format!("  {line}"))?;
                }
            }
            out.line("")?;
            let title = out.bold("References");
            out.line(&title)?;
            for link in docs.references {
                out.line(&format!("  {link}"))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// A text in lines no longer than `width`, as far as its words allow.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line from the start");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
