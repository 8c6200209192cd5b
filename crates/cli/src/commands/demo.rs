//! `trailhound demo`: a month of a small organisation's logs with an intrusion in it, read and judged.

mod proof;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use detect::Severity;
use jiff::SignedDuration;
use pipeline::alert::AlertId;
use pipeline::escape;
use pipeline::history::SEVERITIES;
use pipeline::state::{AlertFilter, Page, StateStore};
use sample::{Plan, Signing, Step};

use crate::args::DemoArgs;
use crate::commands::ingest::{self, Reading};
use crate::exit::{Exit, usage};
use crate::output::{bytes, count, plural};
use crate::proving::Keys;
use crate::session::Session;

/// How long the trail has had log file validation: a digest costs 0.7 ms of signing, and each hour has one for each of the
/// 32 accounts and regions, so that a whole month would take a quarter of a minute.
const SIGNED: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(crate) fn run(session: &mut Session, arguments: &DemoArgs) -> anyhow::Result<Exit> {
    let folder = match &arguments.keep {
        Some(folder) => folder.clone(),
        None => new_folder().context("failed to make a folder for the demo")?,
    };
    // The user is told to delete the folder afterwards, so nothing else may be in it.
    if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(usage(format!("{} is not empty; name another folder with --keep", folder.display())));
    }
    session.home = folder.join("home");
    session.global.home = Some(session.home.clone());

    let now = jiff::Timestamp::from_microsecond(session.now.micros()).context("the time is out of bounds")?;
    let signing = Some(Signing { from: Some(now - SIGNED), ..Signing::organisation(now) });
    let plan = Plan { seed: arguments.seed, events: arguments.events, signing, ..Plan::demo(now) };
    let started = Instant::now();
    let made = plan.write(&folder.join("logs"), |_| {}).context("failed to make the demo's logs")?;
    say(
        session,
        &format!(
            "Made a month of a small organisation's CloudTrail in {}:\n  {} events in {} ({}, {} inflated), {:.1} s",
            made.trail.display(),
            count(made.events),
            plural(made.files, "file", "files"),
            bytes(made.bytes_gz),
            bytes(made.bytes_json),
            started.elapsed().as_secs_f64(),
        ),
    )?;

    let keys = Keys::open(session, "the demo's keys", Some(&folder.join("logs/public-keys.json")))?;
    let done = ingest::read(
        session,
        &Reading { command: "demo", threads: None, fail_on: None, notify: false, keys: Some(&keys) },
        std::slice::from_ref(&made.trail),
    )?;
    say(session, "\nRead them with `trailhound ingest`:")?;
    for line in done.lines() {
        say(session, &format!("  {line}"))?;
    }

    let state = session.open_state()?;
    let missed = show_steps(session, &state, &made.intrusion)?;
    show_rest(session, &state, &made.intrusion, &made.legitimate)?;
    let logs = folder.join("logs");
    let from = (now - SIGNED).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let is_proven = done.report.interrupted || proof::show(session, &folder, &logs, &from)?;
    show_next(session, &state, &made.intrusion)?;
    if missed > 0 {
        anyhow::bail!("{} of the intrusion that a detection covers raised no alert", plural(missed, "step", "steps"));
    }
    if !is_proven {
        anyhow::bail!(
            "the demo's trail was not verified and attested as it should be, or what was tampered with was not caught"
        );
    }
    if done.report.interrupted { Ok(Exit::Interrupted) } else { Ok(Exit::Done) }
}

/// A folder of this user's alone in the shared one for what is temporary, under a name that nobody can have taken before. It
/// stays: the user is told where it is.
fn new_folder() -> std::io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("trailhound-demo-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    Ok(builder.tempdir()?.keep())
}

fn say(session: &mut Session, text: &str) -> anyhow::Result<()> {
    session.out.line(text)?;
    // The demo is watched as it goes.
    Ok(session.out.flush()?)
}

/// The planted steps, each with the alerts it raised; counts the detections that should have fired and did not.
fn show_steps(session: &mut Session, state: &dyn StateStore, steps: &[Step]) -> anyhow::Result<u64> {
    let heading = session.out.bold(&format!("\nThe intrusion, step by step ({} planted)", steps.len()));
    say(session, &heading)?;
    let mut missed = 0;
    let mut found = 0;
    for run in steps.chunk_by(is_same_deed) {
        let Some(step) = run.first() else { continue };
        let what = escape::single_line(&step.what, 110).into_owned();
        let times = if run.len() > 1 { format!(" ({} times)", run.len()) } else { String::new() };
        say(session, &format!("  {}  {:<34} {what}{times}", step.time, step.event_name))?;
        for (step, detection) in
            run.iter().flat_map(|step| step.detections.iter().map(move |detection| (step, *detection)))
        {
            match state.alert(&AlertId::of(&step.event_id, detection))? {
                Some(alert) => {
                    found += 1;
                    let severity = session.out.severity(alert.severity);
                    say(session, &format!("      -> {severity}: {} [{}]", alert.title, alert.id.short()))?;
                }
                None => {
                    missed += 1;
                    say(session, &format!("      -> MISSED: {detection}"))?;
                }
            }
        }
    }
    say(session, &format!("  {found} of the {} alerts these steps should raise were raised", found + missed))?;
    Ok(missed)
}

/// Whether two steps read as one, such as a sweep over secrets.
fn is_same_deed(one: &Step, next: &Step) -> bool {
    one.event_name == next.event_name && one.what == next.what
}

/// The alerts on what was not the intrusion.
fn show_rest(
    session: &mut Session,
    state: &dyn StateStore,
    intrusion: &[Step],
    legitimate: &[Step],
) -> anyhow::Result<()> {
    let alerts = state.alerts(&AlertFilter::default(), &Page::default())?;
    let of = |steps: &[Step]| {
        alerts.iter().filter(|alert| steps.iter().any(|step| step.event_id == alert.event_id)).count() as u64
    };
    let (planted, sensitive) = (of(intrusion), of(legitimate));
    let other = alerts.len() as u64 - planted - sensitive;
    let by_severity: Vec<String> = SEVERITIES
        .iter()
        .map(|&severity| (severity, alerts.iter().filter(|alert| alert.severity == severity).count()))
        .filter(|(_, number)| *number > 0)
        .map(|(severity, number)| format!("{number} {severity}"))
        .collect();
    say(
        session,
        &format!(
            "\n{} in all ({}): {planted} on the intrusion, {sensitive} on legitimate but sensitive changes, {other} on ordinary traffic",
            plural(alerts.len() as u64, "alert", "alerts"),
            by_severity.join(", "),
        ),
    )
}

fn show_next(session: &mut Session, state: &dyn StateStore, intrusion: &[Step]) -> anyhow::Result<()> {
    let critical = AlertFilter { at_least: Some(Severity::Critical), ..AlertFilter::open() };
    let newest = state.alerts(&critical, &Page { limit: Some(1), after: None })?;
    let program = program();
    let home = quoted(&session.home);
    let id = newest.first().map_or("ID", |alert| alert.id.short());
    // Whose key was stolen: the generator's own name, not a stranger's.
    let user = intrusion.first().map_or("root", |step| step.actor.as_str());
    let heading = session.out.bold("\nWhat to try next");
    say(session, &heading)?;
    for (command, what) in [
        ("alerts".to_owned(), "every open alert, the newest first"),
        (format!("alerts show {id}"), "one in full, with what to do and the whole record"),
        (format!("events --user {user}"), "what that user did"),
        ("events --name AssumeRole --failed".to_owned(), "roles that somebody was not let into"),
        ("status".to_owned(), "what is stored and open"),
    ] {
        say(session, &format!("  {program} --home {home} {command:<36} # {what}"))?;
    }
    say(session, &format!("  {program} ingest PATH  # your own logs: the folder that holds AWSLogs"))?;
    let note = format!(
        "\nIt all lies in {}; delete that folder when you are done.",
        session.home.parent().unwrap_or(&session.home).display()
    );
    say(session, &note)
}

/// This program as the user can call it: by its name where a shell finds it, else by its path.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else { return "trailhound".to_owned() };
    let found = std::env::var_os("PATH").is_some_and(|folders| {
        let mut candidates = std::env::split_paths(&folders).map(|folder| folder.join("trailhound"));
        // The first of that name is the one a shell takes.
        candidates
            .find(|candidate| candidate.is_file())
            .is_some_and(|first| first.canonicalize().ok() == path.canonicalize().ok())
    });
    if found { "trailhound".to_owned() } else { quoted(&path) }
}

/// A path as a shell takes it.
fn quoted(path: &std::path::Path) -> String {
    let text = PathBuf::from(path).display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    if text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_demos_folder_is_new_ones_own_and_not_to_be_foreseen() {
        use std::os::unix::fs::PermissionsExt;
        let folders = [new_folder().unwrap(), new_folder().unwrap()];
        assert_ne!(folders[0], folders[1]);
        for folder in folders {
            let name = folder.file_name().unwrap().to_str().unwrap();
            let random = name.strip_prefix("trailhound-demo-").unwrap();
            assert!(random.len() >= 6 && random != std::process::id().to_string(), "{name}");
            assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
            std::fs::remove_dir(&folder).unwrap();
        }
    }
}
