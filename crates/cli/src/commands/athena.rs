//! `trailhound athena`: a database, a table and views over a lake in S3, for Athena to answer.

use aws::TrailBucket;
use aws::athena::{NewWorkgroup, Place, Workgroup};
use pipeline::trail::Bucket;
use query::athena::{Location, Names};
use serde_json::{Map, Value, json};

use crate::args::{AthenaCommand, AthenaSetupArgs, DocumentFormat};
use crate::ask::athena::{AthenaAsker, only_row, scanned};
use crate::exit::{Exit, usage};
use crate::output::{bytes, count};
use crate::session::Session;

pub(crate) fn run(session: &mut Session, command: &AthenaCommand) -> anyhow::Result<Exit> {
    match command {
        AthenaCommand::Setup(arguments) => setup(session, arguments),
    }
}

/// Checks everything that can be checked before anything is made, so that a mistake leaves nothing behind.
pub(crate) fn setup(session: &mut Session, arguments: &AthenaSetupArgs) -> anyhow::Result<Exit> {
    let wrong = |error: query::athena::NameError| usage(error.to_string());
    let location = Location::parse(&arguments.location).map_err(wrong)?;
    let asker = AthenaAsker::open(session, &arguments.place)?;
    let Place { database, workgroup, output_location, .. } = &asker.place;
    let names = Names::new(database.as_deref().unwrap_or_default(), &arguments.table).map_err(wrong)?;
    let workgroup = workgroup.as_deref().unwrap_or("primary");
    if let Some(place) = output_location {
        Location::parse(place).map_err(wrong)?;
    }
    find_log(&asker, &location)?;
    let has_table = find_table(&asker, &names, &location)?;
    let found = asker.athena.workgroup(workgroup).map_err(|error| crate::ask::athena::advised(&error))?;
    let known = match found {
        Some(found) => usable(found, output_location.as_deref())?,
        None => make_workgroup(&asker, workgroup, output_location.clone(), arguments.scan_limit)?,
    };
    let say = |session: &Session, text: String| {
        if !session.global.quiet {
            crate::complain(&text);
        }
    };
    say(session, format!("workgroup  {}: {}", known.name, limit(&known)));

    let place = Place { database: None, reuse_minutes: 0, ..asker.place.clone() };
    let Some(_) = asker.run(&names.create_database(), &place)? else { return Ok(Exit::Interrupted) };
    let place = Place { database: Some(names.database().to_owned()), ..place };
    say(session, format!("database   {}", names.database()));
    if !has_table {
        let Some(_) = asker.run(&names.create_table(&location), &place)? else { return Ok(Exit::Interrupted) };
    }
    say(session, format!("table      {} over {location}", names.table()));
    let views = names.create_views();
    for (_, statement) in &views {
        let Some(_) = asker.run(statement, &place)? else { return Ok(Exit::Interrupted) };
    }
    let views: Vec<&str> = views.iter().map(|(name, _)| *name).collect();
    say(session, format!("views      {}", views.join(", ")));

    let Some(execution) = asker.run(&names.totals(), &place)? else { return Ok(Exit::Interrupted) };
    let Some(totals) = only_row(&asker, &execution)? else { return Ok(Exit::Interrupted) };
    let made = json!({
        "region": asker.athena.region(), "workgroup": workgroup, "database": names.database(), "table": names.table(),
        "location": location.to_string(), "views": views,
    });
    show(session, arguments.format, made, &totals)?;
    session.out.flush()?;
    say(session, format!("\n{}", scanned(&execution.scan, execution.engine)));
    Ok(Exit::Done)
}

/// Looks for the log of a Delta table.
fn find_log(asker: &AthenaAsker, location: &Location) -> anyhow::Result<()> {
    let bucket = TrailBucket::new(&asker.account, &location.bucket, asker.athena.region())?;
    let log = location.key("_delta_log/");
    let page = bucket.list(&log, None).map_err(|error| anyhow::anyhow!("{location} cannot be read: {error}"))?;
    let is_version = |key: &str| key.ends_with(".json") || key.ends_with(".parquet");
    if page.objects.iter().any(|object| is_version(&object.key)) {
        return Ok(());
    }
    Err(usage(format!(
        "there is no lake at {location}: nothing in s3://{}/{log}; name the folder that holds _delta_log, and fill it first",
        location.bucket
    )))
}

/// Whether the table is there, over this lake. One of another lake, or of the name of a view, is nothing to build on.
fn find_table(asker: &AthenaAsker, names: &Names, location: &Location) -> anyhow::Result<bool> {
    let find =
        |name: &str| asker.athena.table(names.database(), name).map_err(|error| crate::ask::athena::advised(&error));
    let (database, table) = (names.database(), names.table());
    for (view, _) in names.create_views() {
        if find(view)?.is_some_and(|found| !found.is_view) {
            return Err(usage(format!(
                "{database}.{view} is a table, where a view is to be: name another database with --database"
            )));
        }
    }
    let Some(found) = find(table)? else { return Ok(false) };
    if found.is_view {
        return Err(usage(format!("{database}.{table} is a view: name another table with --table")));
    }
    let Some(lies) = found.location else {
        crate::note(&format!("Athena does not say where {database}.{table} lies: it is taken as it is"));
        return Ok(true);
    };
    if Location::parse(&lies).ok().as_ref() != Some(location) {
        return Err(usage(format!(
            "{database}.{table} is there already, over {lies:?}: name another with --table or --database, or remove it \
             with DROP TABLE `{database}`.`{table}` in Athena, which leaves the data alone"
        )));
    }
    Ok(true)
}

/// A workgroup that is there is left as it is.
fn usable(found: Workgroup, output_location: Option<&str>) -> anyhow::Result<Workgroup> {
    let name = &found.name;
    if !found.is_enabled {
        return Err(usage(format!("the workgroup {name} is disabled: enable it, or name another with --workgroup")));
    }
    if found.output_location.is_none() && !found.keeps_results && output_location.is_none() {
        return Err(usage(format!(
            "the workgroup {name} does not say where results are written: name a place with --output-location"
        )));
    }
    if found.is_enforced && output_location.is_some() && output_location != found.output_location.as_deref() {
        let place = found.output_location.as_deref().unwrap_or("where Athena keeps them");
        crate::note(&format!("the workgroup {name} writes results to {place}, whatever a query asks for"));
    }
    Ok(found)
}

fn make_workgroup(
    asker: &AthenaAsker,
    name: &str,
    output_location: Option<String>,
    gigabytes: u32,
) -> anyhow::Result<Workgroup> {
    if output_location.is_none() {
        return Err(usage(format!(
            "there is no workgroup {name} yet: name the place where it is to write results, --output-location s3://BUCKET/PREFIX/"
        )));
    }
    let scan_limit = u64::from(gigabytes) * 1_000_000_000;
    let new = NewWorkgroup { name: name.to_owned(), output_location, scan_limit };
    let advised = |error| crate::ask::athena::advised(&error);
    asker.athena.create_workgroup(&new).map_err(advised)?;
    let made = asker.athena.workgroup(name).map_err(advised)?;
    made.ok_or_else(|| anyhow::anyhow!("the workgroup {name} is not there although it was made: run the command again"))
}

fn limit(workgroup: &Workgroup) -> String {
    match workgroup.scan_limit {
        Some(limit) => format!("a query scans {} at most", bytes(limit)),
        None => "a query may scan without limit; Athena's console sets one (data usage controls)".to_owned(),
    }
}

fn show(session: &mut Session, format: DocumentFormat, made: Value, totals: &Map<String, Value>) -> anyhow::Result<()> {
    if format == DocumentFormat::Json {
        let mut document = made;
        for (name, value) in totals {
            document[name.as_str()] = value.clone();
        }
        return Ok(session.out.json(&document)?);
    }
    let number = |name: &str| totals.get(name).and_then(Value::as_u64).map_or_else(|| "-".to_owned(), count);
    let text = |name: &str| totals.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    for line in [
        format!("events     {}, {} to {}", number("events"), text("first_day"), text("last_day")),
        format!("users      {}", number("users")),
        format!("actions    {}", number("actions")),
        format!("errors     {}", number("errors")),
    ] {
        session.out.line(&line)?;
    }
    Ok(())
}
