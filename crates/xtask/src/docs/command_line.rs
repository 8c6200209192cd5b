//! `docs/cli.md`: the help of the binary and all its commands, as it prints it.

use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::workspace::run_for_output;

/// Repeated in the help of every command; the page gives it once.
const REPEATED_SECTION: &str = "Global options:";

/// Asks the binary and its commands, all the way down, for their help.
pub(crate) fn page(binary: &Path) -> anyhow::Result<String> {
    let mut page = String::from(
        "# Command line\n\n\
         What `trailhound` and its commands say with `--help`. The global options stand in the first section and apply to \
         every command. Generated from the binary itself.\n",
    );
    describe(&[], &mut page, &|path| help(binary, path))?;
    Ok(page)
}

fn help(binary: &Path, path: &[String]) -> anyhow::Result<String> {
    let mut command = Command::new(binary);
    // Help shows the values of the variables it knows and fits the terminal: neither may get into the page.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRAILHOUND_")) {
        command.env_remove(name);
    }
    command.args(path).arg("--help").env("COLUMNS", "100").env("NO_COLOR", "1");
    run_for_output(&mut command)
}

fn describe(
    path: &[String],
    page: &mut String,
    help: &impl Fn(&[String]) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let text = help(path)?;
    let name: String = ["trailhound"].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    ensure!(!text.trim().is_empty(), "`{name} --help` printed nothing");
    let shown = if path.is_empty() { text.clone() } else { without_section(&text, REPEATED_SECTION) };
    let shown = shown.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    // Writing to a string cannot fail.
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", shown.trim_end());
    for command in commands(&text) {
        let mut below = path.to_vec();
        below.push(command);
        describe(&below, page, help)?;
    }
    Ok(())
}

/// The names in the section "Commands:" of a help text.
fn commands(help: &str) -> Vec<String> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let entries = section.take_while(|line| line.is_empty() || line.starts_with(' '));
    let names = entries.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = names.filter_map(|entry| entry.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Leaves out the lines from a heading to the next one.
fn without_section(help: &str, heading: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in help.lines() {
        let is_heading = !line.is_empty() && !line.starts_with(' ');
        if is_heading {
            inside = line == heading;
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "\
Follows the trail.

Usage: trailhound <COMMAND>

Commands:
  ingest  Read logs
          and more
  alerts  Show alerts

          Wrapped far below
  help    Print this message

Global options:
      --home <DIR>  The folder

          [env: HOME]

Examples:
  trailhound ingest x
";

    #[test]
    fn commands_are_read_from_the_help() {
        assert_eq!(commands(ROOT), ["ingest", "alerts"]);
        assert!(commands("Usage: x\n\nOptions:\n  --a  b\n").is_empty());
    }

    #[test]
    fn repeated_section_is_left_out() {
        let kept = without_section(ROOT, REPEATED_SECTION);
        assert!(!kept.contains("--home") && !kept.contains("[env"));
        assert!(kept.contains("alerts") && kept.ends_with("Examples:\n  trailhound ingest x\n"));
    }

    /// Each command has its section, nested ones too, and global options stand at the top only.
    #[test]
    fn page_goes_all_the_way_down() {
        let help = |path: &[String]| {
            let text = match path.join(" ").as_str() {
                "" => ROOT,
                "alerts" => "Commands:\n  list  List\n\nGlobal options:\n  --home\n",
                "alerts list" => "Lists.  \n",
                _ => "Reads.\n\nGlobal options:\n  --home\n",
            };
            Ok(text.to_owned())
        };
        let mut page = String::new();
        describe(&[], &mut page, &help).expect("every command has help");
        let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, ["trailhound", "trailhound ingest", "trailhound alerts", "trailhound alerts list"]);
        assert_eq!(page.matches("--home").count(), 1);
        assert!(page.ends_with("```text\nLists.\n```\n"));
    }
}
