//! `trailhound export`: the events for tools that read plain Parquet folders.

use event::Timestamp;
use lake::ExportOptions;

use crate::args::{ExportArgs, Layout};
use crate::exit::Exit;
use crate::output::{bytes, count, plural};
use crate::session::Session;
use crate::times::Between;

pub(crate) fn run(session: &mut Session, arguments: &ExportArgs) -> anyhow::Result<Exit> {
    let between = Between::of(&arguments.window, session.now)?;
    let lake = session.open_lake()?;
    let options = ExportOptions {
        from: between.from.map(Timestamp::day),
        // A day's file holds the whole day: the day that the last wanted microsecond is in.
        to: between.to.and_then(|to| Timestamp::from_micros(to.micros() - 1)).map(Timestamp::day),
    };
    let exported = match arguments.layout {
        Layout::Classic => lake.export_classic(&arguments.output, &options)?,
    };
    let line = format!(
        "{} in {} ({} written, {} unchanged; {}) in {}",
        plural(exported.rows, "event", "events"),
        plural(exported.written + exported.unchanged, "file", "files"),
        count(exported.written),
        count(exported.unchanged),
        bytes(exported.bytes),
        arguments.output.display(),
    );
    session.out.line(&line)?;
    Ok(Exit::Done)
}
