//! `trailhound events`: search the stored events.

use std::ops::ControlFlow;

use event::{Column, Event};
use lake::{Order, Scan};
use pipeline::escape;
use pipeline::pattern::Pattern;
use serde_json::{Value, json};

use crate::args::{EventFilter, EventsArgs, Format};
use crate::exit::{Exit, usage};
use crate::hot::HotStore;
use crate::output::{Output, Rows, plural};
use crate::session::Session;
use crate::times::Between;

const COLUMNS: &[&str] = &[
    "time",
    "account_id",
    "region",
    "event_name",
    "who",
    "source_ip",
    "error",
    "target",
    "event_id",
    "event_source",
    "event_type",
    "user_name",
    "session_name",
    "actor_type",
    "actor_arn",
    "role_arn",
    "access_key_id",
    "mfa_authenticated",
    "invoked_by",
    "user_agent",
    "read_only",
    "error_message",
    "request_parameters",
    "response_elements",
    "request_id",
];
/// The columns of a table; the other formats have all.
const SHOWN: usize = 8;
/// Rows of a table where no limit was given.
const LIMIT: usize = 50;

pub(crate) fn run(session: &mut Session, arguments: &EventsArgs) -> anyhow::Result<Exit> {
    let question = Question::of(arguments, session)?;
    if let Some(address) = &arguments.store {
        let found = HotStore::open(session, address)?.events(&question.asked, question.limit, session.now)?;
        let exit = show(session, arguments, found.events.into_iter().map(Ok), question.limit, found.more)?;
        return Ok(if found.unread > 0 { exit.max(Exit::Rejected) } else { exit });
    }
    let lake = session.open_lake()?;
    if arguments.raw && question.unlimited() && question.asked.conditions.is_empty() {
        let scan = Scan { order: Order::Stored, ..question.asked.scan };
        return raw(&lake, &scan, &mut session.out);
    }
    let accepted = lake.scan(&question.asked.scan)?.filter_map(|event| match event {
        Ok(event) => question.asked.accepts(&event).then_some(Ok(event)),
        Err(error) => Some(Err(error.into())),
    });
    show(session, arguments, accepted, question.limit, false)
}

/// Writes events as they come, up to the limit.
fn show<'e>(
    session: &mut Session,
    arguments: &EventsArgs,
    events: impl Iterator<Item = anyhow::Result<Event<'e>>>,
    limit: Option<usize>,
    mut more: bool,
) -> anyhow::Result<Exit> {
    let mut rows = Rows::new(COLUMNS);
    let mut found = 0;
    for event in events {
        let event = event?;
        if limit.is_some_and(|limit| found == limit) {
            more = true;
            break;
        }
        found += 1;
        if arguments.raw {
            session.out.line(&escape::json(&event.to_json()))?;
        } else if arguments.format == Format::Jsonl {
            // Written as they come: a long answer takes no memory.
            let mut one = Rows::new(COLUMNS);
            one.push(row(&event));
            one.write(Format::Jsonl, SHOWN, &mut session.out)?;
        } else {
            rows.push(row(&event));
        }
    }
    if arguments.raw || arguments.format == Format::Jsonl {
        return Ok(Exit::Done);
    }
    if arguments.format == Format::Table && rows.is_empty() {
        crate::complain("no events");
        return Ok(Exit::Done);
    }
    rows.write(arguments.format, SHOWN, &mut session.out)?;
    session.out.flush()?;
    if arguments.format == Format::Table && !session.global.quiet {
        let more = if more { "; there are more: raise --limit" } else { "" };
        crate::complain(&format!(
            "\n{}{more}. All columns: --format json, the records: --raw",
            plural(found as u64, "event", "events")
        ));
    }
    Ok(Exit::Done)
}

/// Every record that answers the scan, in the cheapest order, copied out of the batches it is read in.
fn raw(lake: &lake::Lake, scan: &Scan, out: &mut Output) -> anyhow::Result<Exit> {
    let mut failure = None;
    lake.scan_batches(scan, |batch| {
        for event in batch.events() {
            if let Err(error) = out.line(&escape::json(&event.to_json())) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(Exit::Done),
    }
}

/// What is asked: what the lake can find by itself, and what is looked at event by event.
struct Question {
    asked: Asked,
    limit: Option<usize>,
}

/// Which events: what the lake can find by itself, and what is looked at event by event.
pub(crate) struct Asked {
    pub(crate) scan: Scan,
    conditions: Vec<Condition>,
}

enum Condition {
    Who(Pattern),
    Like(Column, Pattern),
    Failed,
}

impl Question {
    fn of(arguments: &EventsArgs, session: &Session) -> anyhow::Result<Question> {
        let between = Between::of(&arguments.window, session.now)?;
        let mut asked = Asked::of(&arguments.filter)?;
        asked.scan = Scan { from: between.from, until: between.to, order: Order::Newest, ..asked.scan };
        let default = if arguments.raw || arguments.format != Format::Table { 0 } else { LIMIT };
        let limit = Some(arguments.limit.unwrap_or(default)).filter(|&limit| limit > 0);
        if asked.conditions.is_empty() {
            // One more than is shown, to know whether there are more.
            asked.scan.limit = limit.map(|limit| limit + 1);
        }
        Ok(Question { asked, limit })
    }

    fn unlimited(&self) -> bool {
        self.limit.is_none()
    }
}

impl Asked {
    pub(crate) fn of(filter: &EventFilter) -> anyhow::Result<Asked> {
        let mut scan = Scan::default();
        let mut conditions = Vec::new();
        for (column, wanted) in [
            (Column::SourceIp, &filter.ip),
            (Column::AccessKeyId, &filter.key),
            (Column::AccountId, &filter.account),
            (Column::AwsRegion, &filter.region),
            (Column::EventId, &filter.id),
        ] {
            if let Some(wanted) = wanted {
                scan = scan.any_of(column, [wanted]);
            }
        }
        if let Some(source) = &filter.source {
            let full = if source.contains('.') { source.clone() } else { format!("{source}.amazonaws.com") };
            scan = scan.any_of(Column::EventSource, [full]);
        }
        let pattern = |flag: &str, text: &str| Pattern::new(text).map_err(|error| usage(format!("{flag}: {error}")));
        for (flag, column, wanted) in
            [("--name", Column::EventName, &filter.name), ("--target", Column::Target, &filter.target)]
        {
            match wanted {
                None => {}
                Some(text) if is_pattern(text) => conditions.push(Condition::Like(column, pattern(flag, text)?)),
                Some(text) => scan = scan.any_of(column, [text]),
            }
        }
        match &filter.user {
            None => {}
            Some(text) if is_pattern(text) => conditions.push(Condition::Who(pattern("--user", text)?)),
            Some(text) => scan.who = vec![text.clone()],
        }
        if filter.failed {
            conditions.push(Condition::Failed);
        }
        Ok(Asked { scan, conditions })
    }

    /// Whether an event is meant that no lake has looked at.
    pub(crate) fn finds(&self, event: &Event<'_>) -> bool {
        self.scan.accepts(event) && self.accepts(event)
    }

    /// Whether an event that the lake found meets what the lake does not look at.
    pub(crate) fn accepts(&self, event: &Event<'_>) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Who(pattern) => {
                [event.user_name(), event.session_name()].into_iter().flatten().any(|name| pattern.matches(name))
            }
            Condition::Like(column, pattern) => event.get(*column).is_some_and(|text| pattern.matches(text)),
            Condition::Failed => event.failed(),
        })
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn row(event: &Event<'_>) -> Vec<Value> {
    // An inner document is a document in JSON, and its text in a table or a CSV cell.
    let document = |text: Option<&str>| match text {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        None => Value::Null,
    };
    vec![
        event.event_time.to_string().into(),
        json!(event.account_id()),
        json!(event.aws_region()),
        json!(event.event_name()),
        json!(event.who()),
        json!(event.source_ip()),
        json!(event.error_code()),
        json!(event.target()),
        json!(event.event_id()),
        json!(event.event_source()),
        json!(event.event_type()),
        json!(event.user_name()),
        json!(event.session_name()),
        json!(event.actor_type()),
        json!(event.actor_arn()),
        json!(event.role_arn()),
        json!(event.access_key_id()),
        json!(event.mfa_authenticated),
        json!(event.invoked_by()),
        json!(event.user_agent()),
        json!(event.read_only),
        json!(event.error_message()),
        document(event.request_parameters()),
        document(event.response_elements()),
        json!(event.request_id()),
    ]
}
