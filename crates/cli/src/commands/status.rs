//! `trailhound status`: what is stored, what the last runs did, what is open.

use std::path::Path;

use pipeline::history::SEVERITIES;
use pipeline::state::{AlertFilter, StateStore};
use serde_json::json;

use crate::args::{DocumentFormat, Format};
use crate::exit::Exit;
use crate::output::{Rows, count, plural};
use crate::session::Session;

/// How many past runs are shown.
const RUNS: usize = 5;

pub(crate) fn run(session: &mut Session, format: DocumentFormat) -> anyhow::Result<Exit> {
    let lake = session.find_lake()?.map(|lake| lake.status()).transpose()?;
    let state = session.open_state()?;
    let runs = state.runs(RUNS)?;
    let alerts = state.count_alerts(&AlertFilter::default())?;
    let in_force = state
        .suppressions()?
        .into_iter()
        .filter(|suppression| suppression.removed.is_none() && !suppression.is_over(session.now))
        .count();
    let rejected = lines_of(&session.home.join("rejected.jsonl"))?;
    let variants = lines_of(&session.home.join("variants.jsonl"))?;
    let unfinished = runs.iter().filter(|run| run.end.is_none()).count();

    let verdict = match &lake {
        None => "no events yet: read some with `trailhound ingest PATH`".to_owned(),
        Some(status) if status.rows == 0 => "no events yet: read some with `trailhound ingest PATH`".to_owned(),
        Some(status) => {
            let open = alerts.open.total();
            let worst = SEVERITIES.iter().find(|&&severity| alerts.open.get(severity) > 0);
            let open = match worst {
                Some(worst) => format!("{}, the worst {worst}", plural(open, "open alert", "open alerts")),
                None => "no open alerts".to_owned(),
            };
            format!("{} stored, {open}", plural(status.rows, "event", "events"))
        }
    };
    if format == DocumentFormat::Json {
        let document = json!({
            "verdict": verdict,
            "home": session.home.display().to_string(),
            "lake": lake.as_ref().map(crate::commands::lake::status_json),
            "alerts": alerts,
            "suppressions_in_force": in_force,
            "rejections": rejected,
            "variants": variants,
            "runs": runs,
        });
        session.out.json(&document)?;
        return Ok(Exit::Done);
    }
    let bold = session.out.bold(&verdict);
    let mut lines = vec![bold, String::new(), format!("home          {}", session.home.display())];
    if let Some(status) = &lake {
        lines.extend(crate::commands::lake::status_lines(status));
    }
    let by_severity = |counts: pipeline::history::SeverityCounts| {
        let parts: Vec<String> = counts
            .iter()
            .filter(|(_, number)| *number > 0)
            .map(|(severity, number)| format!("{} {severity}", count(number)))
            .collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    lines.push(format!("open alerts   {}", by_severity(alerts.open)));
    lines.push(format!("acknowledged  {}", by_severity(alerts.acknowledged)));
    lines.push(format!(
        "suppressed    {} ({} in force)",
        by_severity(alerts.suppressed),
        plural(in_force as u64, "suppression", "suppressions")
    ));
    lines.push(format!(
        "kept aside    {}, {}",
        plural(rejected, "rejection", "rejections"),
        plural(variants, "variant", "variants")
    ));
    if unfinished > 0 {
        lines.push(format!(
            "unfinished    {} running, or cut off: run it again",
            plural(unfinished as u64, "run is", "runs are")
        ));
    }
    for line in lines {
        session.out.line(&line)?;
    }
    if !runs.is_empty() {
        session.out.line("")?;
        let mut rows = Rows::new(&[
            "run",
            "command",
            "started",
            "exit",
            "read",
            "stored",
            "duplicate",
            "variant",
            "filtered",
            "rejected",
            "insight",
            "unread",
            "alerts",
        ]);
        for run in runs {
            let records = run.end.as_ref().map(|end| end.records).unwrap_or_default();
            rows.push(vec![
                run.id.0.into(),
                run.command.clone().into(),
                run.started.whole_second().to_string().into(),
                json!(run.end.as_ref().map(|end| end.exit_code)),
                records.read.into(),
                records.stored.into(),
                records.duplicate.into(),
                records.variant.into(),
                records.filtered.into(),
                records.rejected.into(),
                records.insight.into(),
                json!(run.end.as_ref().map(|end| end.unread)),
                json!(run.end.as_ref().map(|end| end.alerts.total())),
            ]);
        }
        rows.write(Format::Table, 13, &mut session.out)?;
    }
    Ok(Exit::Done)
}

/// How many lines a file has; none where it is not there.
fn lines_of(path: &Path) -> anyhow::Result<u64> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(anyhow::Error::new(error).context(format!("failed to read {}", path.display()))),
    };
    let mut reader = std::io::BufReader::with_capacity(1 << 16, file);
    let mut lines = 0;
    loop {
        let buffer = std::io::BufRead::fill_buf(&mut reader)?;
        if buffer.is_empty() {
            return Ok(lines);
        }
        lines += buffer.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let length = buffer.len();
        std::io::BufRead::consume(&mut reader, length);
    }
}
