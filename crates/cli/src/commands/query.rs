//! `trailhound query`: the questions that are ready.

use anyhow::Context;
use event::{Day, Timestamp};
use query::catalogue::{Asked, Catalogue, CatalogueError, Parameter, Query, Standard};
use query::dialect::{Literal, LiteralType};
use serde_json::{Value, json};

use crate::args::{QueryCommand, QueryExportArgs, QueryParameters, QueryRunArgs, QueryShowArgs, SqlEngine};
use crate::ask::{self, Asker, Manner};
use crate::commands::detections::wrapped;
use crate::exit::{Exit, usage};
use crate::output::Rows;
use crate::session::Session;
use crate::times;

pub(crate) fn run(session: &mut Session, command: QueryCommand) -> anyhow::Result<Exit> {
    let mut catalogue = Catalogue::built_in();
    let problems = catalogue.add_folder(&session.home.join("queries"));
    for problem in &problems {
        crate::complain(&problem.to_string());
    }
    catalogue.extend_list("admin_policies", &session.loaded.config.detect.admin_policies);
    let exit = match command {
        QueryCommand::List { format } => {
            let mut rows =
                Rows::new(&["name", "title", "group", "days", "limit", "parameters", "shown", "description"]);
            for query in catalogue.iter() {
                rows.push(vec![
                    query.name.clone().into(),
                    query.title.clone().into(),
                    query.group.clone().into(),
                    query.days.into(),
                    json!(query.limit),
                    parameters(query),
                    query.shown.clone().into(),
                    query.description.clone().into(),
                ]);
            }
            rows.write(format, 3, &mut session.out)?;
            Exit::Done
        }
        QueryCommand::Show(arguments) => show(session, &catalogue, &arguments)?,
        QueryCommand::Run(arguments) => answer(session, &catalogue, &arguments)?,
        QueryCommand::Export(arguments) => export(session, &catalogue, &arguments)?,
    };
    // A query of the user's that could not be read was skipped.
    Ok(if problems.is_empty() { exit } else { exit.max(Exit::Rejected) })
}

/// A query's own parameters.
fn parameters(query: &Query) -> Value {
    let parameter = |parameter: &Parameter| json!({ "name": parameter.name, "default": default(parameter), "meaning": parameter.meaning });
    query.parameters.iter().map(parameter).collect()
}

/// A parameter's default as people write it: nothing where it need not be given, null where it must.
fn default(parameter: &Parameter) -> Option<String> {
    Some(match parameter.default.as_ref()? {
        Literal::Null(_) => String::new(),
        Literal::Text(text) => text.clone(),
        Literal::List(texts) => texts.join(", "),
        other => other.to_string(),
    })
}

fn find<'c>(catalogue: &'c Catalogue, name: &str) -> anyhow::Result<&'c Query> {
    catalogue.find(name).map_err(|error| usage(format!("{error}; `trailhound query list` shows all")))
}

fn show(session: &mut Session, catalogue: &Catalogue, arguments: &QueryShowArgs) -> anyhow::Result<Exit> {
    let query = find(catalogue, &arguments.name)?;
    if arguments.engine.is_some() {
        // The dialect is one: what differs is where it runs.
        let statement = statement(session, query, &arguments.parameters)?;
        for line in statement.lines() {
            session.out.line(&pipeline::escape::terminal(line))?;
        }
        return Ok(Exit::Done);
    }
    let out = &mut session.out;
    let title = out.bold(&query.title);
    out.line(&format!("{title}  {}", query.name))?;
    out.line("")?;
    for paragraph in query.description.split("\n\n") {
        for line in wrapped(paragraph, 100) {
            out.line(&line)?;
        }
        out.line("")?;
    }
    let mut rows = Rows::new(&["parameter", "default", "meaning"]);
    rows.push(vec![
        "--from, --to, --days".into(),
        format!("{} days back", query.days).into(),
        "Whole UTC days.".into(),
    ]);
    for &standard in Standard::ALL.iter().filter(|&&standard| query.takes(standard)) {
        let (default, meaning) = match standard {
            Standard::Account => (Value::Null, "Only this account."),
            Standard::Region => (Value::Null, "Only this region."),
            Standard::User => (Value::Null, "Only this user, role or session."),
            Standard::Limit => (json!(query.limit), "At most so many rows."),
        };
        rows.push(vec![format!("--{}", standard.name()).into(), default, meaning.into()]);
    }
    for parameter in &query.parameters {
        let default = default(parameter).unwrap_or_else(|| "required".to_owned());
        rows.push(vec![format!("--set {}=", parameter.name).into(), default.into(), parameter.meaning.clone().into()]);
    }
    rows.write(crate::args::Format::Table, 3, out)?;
    out.line("")?;
    for line in query.text.lines() {
        out.line(&pipeline::escape::terminal(line))?;
    }
    Ok(Exit::Done)
}

fn answer(session: &mut Session, catalogue: &Catalogue, arguments: &QueryRunArgs) -> anyhow::Result<Exit> {
    let query = find(catalogue, &arguments.name)?;
    let statement = statement(session, query, &arguments.parameters)?;
    let manner = Manner { arguments: &arguments.answer, shown: &query.shown };
    if arguments.answer.engine == SqlEngine::Athena {
        return ask::athena::answer(session, &statement, &manner);
    }
    let asker = Asker::open(session, arguments.answer.lake.as_deref())?;
    if let Some(problem) = &asker.empty {
        return Err(usage(problem.clone()));
    }
    let conversation = asker.session()?;
    ask::answer(session, &asker, &conversation, &statement, &manner)
}

fn export(session: &mut Session, catalogue: &Catalogue, arguments: &QueryExportArgs) -> anyhow::Result<Exit> {
    let engine = match arguments.engine {
        SqlEngine::Athena => "Amazon Athena",
        SqlEngine::Embedded => "trailhound sql",
    };
    let mut text =
        format!("-- The query catalogue of Trailhound, for {engine}; windows end on {}.\n", session.now.day());
    for query in catalogue.iter() {
        let mut asked = Asked::default();
        text.push_str(&format!("\n-- {}: {}\n", query.name, query.title));
        // What has to be given stands there by its name, to be put in; a number has none.
        for parameter in query.parameters.iter().filter(|parameter| parameter.default.is_none()) {
            let name = &parameter.name;
            let stand_in = match parameter.kind {
                LiteralType::Integer => {
                    text.push_str(&format!("-- {name} stands here as 0, to be put in: {}\n", parameter.meaning));
                    "0".to_owned()
                }
                _ => format!("<{name}>"),
            };
            asked.set.insert(name.clone(), stand_in);
        }
        let statement = query.statement(&asked, session.now.day()).map_err(asked_wrong)?;
        text.push_str(&format!("{statement};\n"));
    }
    match &arguments.output {
        None => session.out.text(&text)?,
        Some(path) => std::fs::write(path, &text).with_context(|| format!("failed to write {}", path.display()))?,
    }
    Ok(Exit::Done)
}

/// The statement with what the flags ask for in it.
fn statement(session: &Session, query: &Query, parameters: &QueryParameters) -> anyhow::Result<String> {
    let day = |flag: &str, text: &Option<String>| -> anyhow::Result<Option<Day>> {
        let Some(text) = text else { return Ok(None) };
        let time = times::instant(flag, text, session.now)?;
        if time.day().start() != Some(time) && !text.starts_with(['-', '+']) && text != "now" {
            return Err(usage(format!(
                "{flag} {text}: the catalogue looks at whole UTC days; write {}, or ask in SQL",
                time.day()
            )));
        }
        Ok(Some(Timestamp::day(time)))
    };
    let mut asked = Asked {
        from: day("--from", &parameters.from)?,
        to: day("--to", &parameters.to)?,
        days: parameters.days,
        ..Asked::default()
    };
    let limit = parameters.limit.map(|limit| limit.to_string());
    for (standard, given) in [
        (Standard::Account, &parameters.account),
        (Standard::Region, &parameters.region),
        (Standard::User, &parameters.user),
        (Standard::Limit, &limit),
    ] {
        if let Some(given) = given {
            asked.standard.insert(standard, given.clone());
        }
    }
    for pair in &parameters.set {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| usage(format!("--set {pair:?}: write --set name=value")))?;
        asked.set.insert(name.trim().to_owned(), value.to_owned());
    }
    if let Some(zone) = &parameters.tz {
        asked.set.insert("tz".to_owned(), zone.clone());
    }
    query.statement(&asked, session.now.day()).map_err(asked_wrong)
}

fn asked_wrong(error: CatalogueError) -> anyhow::Error {
    usage(error.to_string())
}
