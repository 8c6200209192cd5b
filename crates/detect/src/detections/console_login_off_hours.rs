//! `console-login-off-hours`

use event::Event;

use crate::config::Settings;
use crate::{Calls, Deed, Detection, Docs, Severity, Triggers};

pub(super) static DETECTION: Detection = Detection {
    id: "console-login-off-hours",
    title: "Console Login Outside Working Hours",
    severity: Severity::Low,
    attempted_severity: None,
    techniques: &["T1078.004"],
    triggers: Triggers::Calls(&[Calls { service: "signin", names: &["ConsoleLogin"] }]),
    action_required: "Confirm with the user that it was them.",
    docs: Docs {
        summary: "Finds a successful console sign-in, of whomever, within the hours of `detect.off_hours` (UTC, such as \
                  `22-6`). Without that setting it finds nothing.",
        why: "Programs work at any hour, people at theirs: who opens the console at night, their time, is on call, on a \
              journey, or somebody else with their password.",
        false_positives: "People on call, and people in other time zones than the hours were meant for. For a team around \
                          the globe there are no off-hours.",
        what_to_do: "Ask the user, and compare the address with those they come from otherwise \
                     (`trailhound query run ip_new_for_principal`). `trailhound query run off_hours` lists what else was \
                     done outside working hours, in any time zone.",
        references: &[
            "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html",
        ],
    },
    check,
    #[cfg(test)]
    examples: tests::examples,
};

fn check(event: &Event<'_>, settings: &Settings) -> Option<Deed> {
    let is_found = !event.failed() && settings.is_off_hours(event.event_time);
    is_found.then(|| Deed::new("signed in to", "sign in to", "the console outside working hours"))
}

#[cfg(test)]
mod tests {
    use testkit::{console_login, event};

    use crate::registry::tests::Examples;

    // The examples are judged by a registry whose off-hours are from 22:00 to 06:00.
    pub(super) fn examples() -> Examples {
        let at = |time| console_login("Success").at(time);
        Examples {
            fires: vec![
                at("2026-01-15T22:00:00Z"),
                at("2026-01-15T23:59:59Z").root(),
                at("2026-01-16T00:00:00Z").role_session("AWSReservedSSO_Admin_0123456789abcdef", "alice"),
                at("2026-01-16T05:59:59Z"),
            ],
            attempts: vec![],
            quiet: vec![
                at("2026-01-15T21:59:59Z"),
                at("2026-01-16T06:00:00Z"),
                at("2026-01-16T12:00:00Z").root(),
                console_login("Failure").at("2026-01-16T03:00:00Z"),
                event("CreateUser").at("2026-01-16T03:00:00Z"),
            ],
        }
    }
}
