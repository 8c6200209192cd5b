//! Following a stack until what was begun with it is done.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws::{Stack, StackEvent, Stacks};
use local::SystemTimer;
use pipeline::collect::Timer;

use super::Place;

/// How often a stack is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How following ended.
pub(super) enum Ended {
    /// The stack is as it should be, or gone as it should be.
    Well,
    /// It is not, because of these.
    Badly(Option<Stack>, Vec<StackEvent>),
    /// The user has seen enough.
    Interrupted,
}

/// Follows a stack by its ARN, and says what happens to each resource, unless `quiet`.
pub(super) fn follow(
    place: &Place,
    stacks: &Stacks,
    id: &str,
    mut after: Option<String>,
    quiet: bool,
) -> anyhow::Result<Ended> {
    let timer = SystemTimer::new(std::sync::Arc::clone(&place.stop));
    let mut causes = Vec::new();
    loop {
        // The state first: whatever has happened by then stands in the events.
        let stack = stacks.find(id)?;
        for event in stacks.events(id, after.as_deref())? {
            if !quiet {
                crate::complain(&line(&event));
            }
            after = Some(event.id.clone());
            if event.is_cause() {
                causes.push(event);
            }
        }
        match &stack {
            Some(found) if found.is_busy() => {}
            Some(found) if found.is_sound() => return Ok(Ended::Well),
            Some(found) if found.status == "DELETE_COMPLETE" => return Ok(Ended::Well),
            None => return Ok(Ended::Well),
            _ => return Ok(Ended::Badly(stack, causes)),
        }
        timer.sleep(LOOK);
        if place.stop.load(Ordering::Relaxed) {
            return Ok(Ended::Interrupted);
        }
    }
}

/// The last event of a stack: what comes after it is new.
pub(super) fn last_event(stacks: &Stacks, stack: &str) -> anyhow::Result<Option<String>> {
    Ok(stacks.events(stack, None)?.pop().map(|event| event.id))
}

fn line(event: &StackEvent) -> String {
    let StackEvent { at, name, kind, status, reason, .. } = event;
    let time = at.map(|at| format!("{at} ")).unwrap_or_default();
    let reason = reason.as_deref().filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{time}{status:<20} {kind} {name}{reason}")
}

/// Why something failed, and what to do.
pub(super) fn explain(causes: &[StackEvent]) -> Vec<String> {
    causes
        .iter()
        .map(|cause| {
            let reason = cause.reason.as_deref().unwrap_or("no reason is given");
            let advice = advice(reason).map(|advice| format!("\n  what to do: {advice}")).unwrap_or_default();
            format!("{} ({}) failed: {reason}{advice}", cause.name, cause.kind)
        })
        .collect()
}

/// What helps against the failures that there usually are.
fn advice(reason: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 9] = [
        ("is not authorized to perform", "allow the action to who deploys: docs/deploy.md has the policy"),
        ("AccessDenied", "allow the action to who deploys: docs/deploy.md has the policy"),
        (
            "UnreservedConcurrentExecution",
            "the account's quota is small: deploy with --parameter ReserveConcurrency=false",
        ),
        (
            "already exists",
            "something of that name is there, perhaps of an earlier stack: delete it, or choose another --stack",
        ),
        ("MaximumNumberOfTrailsExceeded", "the region has its five trails: deploy with --parameter CreateTrail=false"),
        ("LimitExceeded", "a quota of the account is reached: ask AWS to raise it, or delete what nobody needs"),
        ("not supported in", "the region lacks the service: switch it off by its parameter, or choose another region"),
        (
            "is not available in",
            "the region lacks the service: switch it off by its parameter, or choose another region",
        ),
        ("not empty", "it stays: empty it in S3, older versions too, or keep it (--delete-data deletes the objects)"),
    ];
    KNOWN.iter().find(|(words, _)| reason.contains(words)).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_to_do() {
        let cause = |reason: &str| StackEvent {
            id: "1".to_owned(),
            at: None,
            name: "Trail".to_owned(),
            kind: "AWS::CloudTrail::Trail".to_owned(),
            status: "CREATE_FAILED".to_owned(),
            reason: Some(reason.to_owned()),
        };
        let said =
            explain(&[cause("MaximumNumberOfTrailsExceededException: User: 1 already has 5 trails in us-east-1")]);
        assert_eq!(
            said,
            [
                "Trail (AWS::CloudTrail::Trail) failed: MaximumNumberOfTrailsExceededException: User: 1 already has 5 trails in \
              us-east-1\n  what to do: the region has its five trails: deploy with --parameter CreateTrail=false"
            ]
        );
        assert!(!cause("Resource creation cancelled").is_cause());
    }
}
