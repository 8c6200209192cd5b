//! The report as one HTML file: nothing is loaded, nothing runs, everything is escaped.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use integrity::layout::Lane;
use integrity::report::{Finding, Status};
use pipeline::escape;

use super::told::Told;
use super::{noun, words};
use crate::output::count;

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<title>Integrity of CloudTrail logs</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1d2733; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1.5rem; font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid #d9dfe6; }
td { overflow-wrap: anywhere; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: #f3f5f8; padding: 1rem; overflow-x: auto; }
.tampered, .missing, .injected { color: #a61b1b; font-weight: 600; }
.unjudged, .unsigned { color: #8a5a00; font-weight: 600; }
.verified { color: #17683a; }
</style>
</head>
<body>
";

pub(super) fn write(path: &Path, told: &Told<'_>) -> io::Result<()> {
    let mut page = BufWriter::new(File::create(path)?);
    page.write_all(HEAD.as_bytes())?;
    let verdict = match told.totals.worst() {
        Some(worst) if worst.is_wrong() => ("tampered", "Something is wrong"),
        Some(Status::Unjudged | Status::Unsigned) => {
            ("unjudged", "Nothing wrong was found, and not everything could be judged")
        }
        _ => ("verified", "All verified"),
    };
    writeln!(page, "<h1>Integrity of CloudTrail logs</h1>")?;
    writeln!(page, "<p>{}</p>", html(&told.question.path))?;
    writeln!(page, "<p class=\"{}\">{}.</p>", verdict.0, verdict.1)?;
    writeln!(page, "<pre>{}</pre>", html_lines(&told.lines()?))?;
    writeln!(page, "<h2>Findings</h2>")?;
    findings(&mut page, told)?;
    writeln!(page, "<h2>Hours</h2>")?;
    hours(&mut page, told)?;
    writeln!(page, "<h2>Chains of digests</h2>")?;
    chains(&mut page, told)?;
    writeln!(page, "</body>\n</html>")?;
    page.into_inner().map_err(|error| error.into_error())?.sync_all()
}

fn findings(page: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    let mut number = 0u64;
    let mut head = |page: &mut dyn Write| {
        number += 1;
        if number > 1 {
            return Ok(());
        }
        writeln!(
            page,
            "<table><tr><th>status</th><th>what</th><th>account</th><th>region</th><th>trail</th><th>time</th><th>object</th><th>detail</th></tr>"
        )
    };
    for (name, reason) in &told.question.unread {
        head(page)?;
        let (name, reason) = (html(name), html(reason));
        writeln!(
            page,
            "<tr><td class=\"unjudged\">not judged</td><td>folder or file</td><td></td><td></td><td></td><td></td><td>{name}</td><td>{reason}</td></tr>"
        )?;
    }
    for (lane, _) in &told.question.lanes {
        told.lane(lane, &mut |finding| {
            head(page)?;
            row(page, lane, finding)
        })?;
    }
    if number == 0 { writeln!(page, "<p>None.</p>") } else { writeln!(page, "</table>") }
}

fn row(page: &mut dyn Write, lane: &Lane, finding: &Finding) -> io::Result<()> {
    let Finding { kind, status, from, to, trail, key, detail } = finding;
    let time = match to {
        Some(to) => format!("{} to {}", from.whole_second(), to.whole_second()),
        None => from.whole_second().to_string(),
    };
    let cells = [
        noun(*kind),
        &lane.account,
        &lane.region,
        trail.as_deref().unwrap_or_default(),
        &time,
        key.as_deref().unwrap_or_default(),
        detail,
    ];
    write!(page, "<tr><td class=\"{}\">{}</td>", status.as_str(), words(*status))?;
    for cell in cells {
        write!(page, "<td>{}</td>", html(cell))?;
    }
    writeln!(page, "</tr>")
}

fn hours(page: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    writeln!(
        page,
        "<table><tr><th>status</th><th>account</th><th>region</th><th>from</th><th>to</th><th>hours</th><th>digests</th><th>log files</th><th>why</th></tr>"
    )?;
    for (lane, _) in &told.question.lanes {
        let found = told.lane(lane, &mut |_| Ok(()))?;
        for stretch in found.stretches() {
            let status = stretch.status;
            write!(page, "<tr><td class=\"{}\">{}</td>", status.as_str(), words(status))?;
            for cell in [lane.account.clone(), lane.region.clone(), stretch.from.to_string(), stretch.to.to_string()] {
                write!(page, "<td>{}</td>", html(&cell))?;
            }
            for number in [stretch.hours, stretch.counts.digests.total(), stretch.counts.logs.total()] {
                write!(page, "<td class=\"n\">{}</td>", count(number))?;
            }
            writeln!(page, "<td>{}</td></tr>", html(&found.why(lane, &stretch, told.why).unwrap_or_default()))?;
        }
    }
    writeln!(page, "</table>")
}

fn chains(page: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    writeln!(
        page,
        "<table><tr><th>trail</th><th>home region</th><th>account</th><th>region</th><th>from</th><th>to</th><th>digests</th></tr>"
    )?;
    for (lane, _) in &told.question.lanes {
        for chain in told.lane(lane, &mut |_| Ok(()))?.chains {
            let trail = format!("{}{}", chain.trail, if chain.is_backfill { " (backfill)" } else { "" });
            let (from, to) = (chain.from.whole_second().to_string(), chain.to.whole_second().to_string());
            write!(page, "<tr>")?;
            for cell in [&trail, &chain.home_region, &lane.account, &lane.region, &from, &to] {
                write!(page, "<td>{}</td>", html(cell))?;
            }
            writeln!(page, "<td class=\"n\">{}</td></tr>", count(chain.digests))?;
        }
    }
    writeln!(page, "</table>")
}

/// A stranger's text as text of a page, and in no other way.
fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in escape::terminal(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn html_lines(lines: &[String]) -> String {
    lines.iter().map(|line| html(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::html;

    #[test]
    fn markup_is_text() {
        assert_eq!(
            html("<img src=x onerror='alert(1)'>&\"\n\u{202e}"),
            "&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;&quot;\\n\\u{202e}"
        );
    }
}
