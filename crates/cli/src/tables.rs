//! The small tables beside the events: alerts, detections, runs, what is covered.

use std::error::Error;
use std::path::{Path, PathBuf};

use detect::DetectConfig;
use local::state::SqliteState;
use pipeline::collect::{StreamState, StreamStore};
use pipeline::state::{AlertFilter, Page, StateStore};
use query::{RowTable, RowType};
use serde_json::{Value, json};

type Columns = &'static [(&'static str, RowType)];
type Answer = Result<Vec<Vec<Value>>, Box<dyn Error + Send + Sync>>;

/// The state, if there is one: a question never makes it.
fn state(path: &Path) -> Result<Option<SqliteState>, Box<dyn Error + Send + Sync>> {
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(SqliteState::open(path)?))
}

/// The ledger of alerts, suppressed ones included.
pub(crate) struct Alerts(pub(crate) PathBuf);

impl RowTable for Alerts {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn columns(&self) -> Columns {
        &[
            ("alert_id", RowType::Text),
            ("event_time", RowType::Time),
            ("severity", RowType::Text),
            ("detection", RowType::Text),
            ("title", RowType::Text),
            ("summary", RowType::Text),
            ("attempted", RowType::Boolean),
            ("techniques", RowType::Text),
            ("event_id", RowType::Text),
            ("event_name", RowType::Text),
            ("event_source", RowType::Text),
            ("account_id", RowType::Text),
            ("aws_region", RowType::Text),
            ("user_name", RowType::Text),
            ("session_name", RowType::Text),
            ("actor_arn", RowType::Text),
            ("role_arn", RowType::Text),
            ("source_ip", RowType::Text),
            ("user_agent", RowType::Text),
            ("first_seen", RowType::Time),
            ("run", RowType::Integer),
            ("suppressed_by", RowType::Text),
            ("acknowledged_by", RowType::Text),
            ("record", RowType::Text),
        ]
    }

    fn rows(&self) -> Answer {
        let Some(state) = state(&self.0)? else { return Ok(Vec::new()) };
        let alerts = state.alerts(&AlertFilter::default(), &Page::default())?;
        let row = |alert: pipeline::alert::Alert| {
            vec![
                json!(alert.id),
                json!(alert.event_time.to_string()),
                json!(alert.severity.as_str()),
                json!(alert.detection),
                json!(alert.title),
                json!(alert.summary),
                json!(alert.attempted),
                json!(alert.techniques.join(" ")),
                json!(alert.event_id),
                json!(alert.event_name),
                json!(alert.event_source),
                json!(alert.account),
                json!(alert.region),
                json!(alert.user),
                json!(alert.session),
                json!(alert.actor_arn),
                json!(alert.role_arn),
                json!(alert.source_ip),
                json!(alert.user_agent),
                json!(alert.first_seen.to_string()),
                json!(alert.run),
                json!(alert.suppressed_by),
                json!(alert.acknowledged.map(|acknowledged| acknowledged.by)),
                Value::String(alert.record),
            ]
        };
        Ok(alerts.into_iter().map(row).collect())
    }
}

/// The detections, with the severities in force.
pub(crate) struct Detections(pub(crate) DetectConfig);

impl RowTable for Detections {
    fn name(&self) -> &'static str {
        "detections"
    }

    fn columns(&self) -> Columns {
        &[
            ("detection", RowType::Text),
            ("severity", RowType::Text),
            ("attempted_severity", RowType::Text),
            ("title", RowType::Text),
            ("techniques", RowType::Text),
            ("enabled", RowType::Boolean),
            ("summary", RowType::Text),
        ]
    }

    fn rows(&self) -> Answer {
        let row = |detection: &&detect::Detection| {
            let severity = self.0.severity.get(detection.id).copied().unwrap_or(detection.severity);
            vec![
                json!(detection.id),
                json!(severity.as_str()),
                json!(detection.attempted_severity.map(detect::Severity::as_str)),
                json!(detection.title),
                json!(detection.techniques.join(" ")),
                json!(!self.0.disabled.iter().any(|id| id == detection.id)),
                json!(detection.docs.summary),
            ]
        };
        Ok(detect::all().iter().map(row).collect())
    }
}

/// The history of runs.
pub(crate) struct Runs(pub(crate) PathBuf);

impl RowTable for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn columns(&self) -> Columns {
        &[
            ("run", RowType::Integer),
            ("command", RowType::Text),
            ("started", RowType::Time),
            ("ended", RowType::Time),
            ("exit_code", RowType::Integer),
            ("read", RowType::Integer),
            ("stored", RowType::Integer),
            ("duplicate", RowType::Integer),
            ("variant", RowType::Integer),
            ("filtered", RowType::Integer),
            ("rejected", RowType::Integer),
            ("insight", RowType::Integer),
            ("unread", RowType::Integer),
            ("alerts", RowType::Integer),
        ]
    }

    fn rows(&self) -> Answer {
        let Some(state) = state(&self.0)? else { return Ok(Vec::new()) };
        let row = |run: pipeline::history::PastRun| {
            let end = run.end.as_ref();
            let count = |of: fn(&pipeline::history::RecordCounts) -> u64| json!(end.map(|end| of(&end.records)));
            vec![
                json!(run.id),
                json!(run.command),
                json!(run.started.to_string()),
                json!(end.map(|end| end.at.to_string())),
                json!(end.map(|end| end.exit_code)),
                count(|records| records.read),
                count(|records| records.stored),
                count(|records| records.duplicate),
                count(|records| records.variant),
                count(|records| records.filtered),
                count(|records| records.rejected),
                count(|records| records.insight),
                json!(end.map(|end| end.unread)),
                json!(end.map(|end| end.alerts.total())),
            ]
        };
        Ok(state.runs(usize::MAX)?.into_iter().map(row).collect())
    }
}

/// What of each stream is covered: a row for each stretch of time.
pub(crate) struct Covered(pub(crate) PathBuf);

impl RowTable for Covered {
    fn name(&self) -> &'static str {
        "coverage"
    }

    fn columns(&self) -> Columns {
        &[
            ("account_id", RowType::Text),
            ("aws_region", RowType::Text),
            ("event_source", RowType::Text),
            ("covered_from", RowType::Time),
            ("covered_to", RowType::Time),
        ]
    }

    fn rows(&self) -> Answer {
        let Some(state) = state(&self.0)? else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for StreamState { stream, coverage, .. } in state.streams()? {
            rows.extend(coverage.intervals().iter().map(|interval| {
                vec![
                    json!(stream.account),
                    json!(stream.region),
                    json!(stream.source),
                    json!(interval.from.to_string()),
                    json!(interval.to.to_string()),
                ]
            }));
        }
        Ok(rows)
    }
}
