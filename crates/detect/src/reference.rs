//! The reference page of all detections, in Markdown.

use std::fmt::Write as _;

use crate::{Detection, Triggers, all};

/// The reference page: a table of all detections and a section on each.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Detections\n\n\
         Every event is shown to every detection before any filter. A denied or failed call is a finding of its own, with \
         the severity in the column *attempted*. Generated from the detections themselves.\n\n\
         | id | title | severity | attempted | ATT&CK |\n|---|---|---|---|---|\n",
    );
    for detection in all() {
        let Detection { id, title, severity, .. } = detection;
        let attempted = detection.attempted_severity.map_or("–", |severity| severity.as_str());
        let techniques = techniques(detection);
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| [{id}](#{id}) | {title} | {severity} | {attempted} | {techniques} |");
    }
    for detection in all() {
        section(&mut page, detection);
    }
    page
}

fn section(page: &mut String, detection: &Detection) {
    let Detection { id, title, severity, docs, action_required, .. } = detection;
    let attempted =
        detection.attempted_severity.map_or(String::new(), |severity| format!(", attempted **{severity}**"));
    let triggers = triggers(detection.triggers);
    let techniques = techniques(detection);
    let _ = write!(
        page,
        "\n## {id}\n\n**{title}** · **{severity}**{attempted} · {techniques}\n\n\
         {}\n\n\
         *Looks at* {triggers}.\n\n\
         **Why it matters.** {}\n\n\
         **False positives and limits.** {}\n\n\
         **What to do.** {}\n\n\
         In short: {action_required}\n\n\
         **References**\n\n",
        docs.summary, docs.why, docs.false_positives, docs.what_to_do,
    );
    for link in docs.references {
        let _ = writeln!(page, "- <{link}>");
    }
}

fn techniques(detection: &Detection) -> String {
    let links: Vec<String> = detection
        .techniques
        .iter()
        .map(|id| format!("[{id}](https://attack.mitre.org/techniques/{}/)", id.replace('.', "/")))
        .collect();
    links.join(", ")
}

fn triggers(triggers: Triggers) -> String {
    match triggers {
        Triggers::EveryEvent => "every event".to_owned(),
        Triggers::Otherwise => "every event for which no other detection fires".to_owned(),
        Triggers::Calls(calls) => {
            let services = calls.iter().map(|calls| format!("`{}`: `{}`", calls.service, calls.names.join("`, `")));
            services.collect::<Vec<_>>().join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_row_and_a_section_for_every_detection() {
        let page = reference();
        for detection in all() {
            assert!(page.contains(&format!("| [{0}](#{0}) |", detection.id)), "{}", detection.id);
            assert!(page.contains(&format!("\n## {}\n", detection.id)), "{}", detection.id);
            assert!(page.contains(detection.docs.why), "{}", detection.id);
        }
        assert!(page.contains("https://attack.mitre.org/techniques/T1078/004/"));
    }
}
