//! Following a stack until what was begun with it is done.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws::{AwsError, Stack, StackEvent, Stacks};
use local::SystemTimer;
use pipeline::collect::Timer;

use super::Place;

/// How often a stack is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What to do where a name is taken.
const TAKEN: &str =
    "something of that name is there, and this stack has not made it: delete it, or choose another --stack";
const TAKEN_DATABASE: &str = "the database belongs to another stack, or to somebody else: deploy with --parameter \
                              AthenaDatabaseName=ANOTHER_NAME";

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
            let advice =
                advice(&cause.kind, reason).map(|advice| format!("\n  what to do: {advice}")).unwrap_or_default();
            format!("{} ({}) failed: {reason}{advice}", cause.name, cause.kind)
        })
        .collect()
}

/// The same error of a call, with what helps against it.
pub(super) fn advised(error: AwsError) -> anyhow::Error {
    match advice("", &error.to_string()) {
        Some(advice) => anyhow::anyhow!("{error}\n  what to do: {advice}"),
        None => error.into(),
    }
}

/// What helps against the failures that there usually are: the type of the resource, words of the reason, the advice.
fn advice(kind: &str, reason: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str, &str); 13] = [
        ("", "is not authorized to perform", "allow the action to who deploys: docs/deploy.md has the policy"),
        ("", "AccessDenied", "allow the action to who deploys: docs/deploy.md has the policy"),
        (
            "",
            "UnreservedConcurrentExecution",
            "the account's quota is small: deploy with --parameter ReserveConcurrency=false",
        ),
        ("AWS::Glue::Database", "lready", TAKEN_DATABASE),
        ("", "already exists", TAKEN),
        ("", "AlreadyExists", TAKEN),
        (
            "",
            "CloudTrailAccessNotEnabled",
            "let the organization trust CloudTrail, in its management account: `aws organizations \
             enable-aws-service-access --service-principal cloudtrail.amazonaws.com`, then deploy again",
        ),
        (
            "",
            "Unrecognized resource types",
            "the region's CloudFormation knows none of these, and refuses a template that names them even where they are \
             switched off: choose another --region, which collects this one's events, too",
        ),
        (
            "",
            "MaximumNumberOfTrailsExceeded",
            "the region has its five trails: deploy with --parameter CreateTrail=false",
        ),
        ("", "LimitExceeded", "a quota of the account is reached: ask AWS to raise it, or delete what nobody needs"),
        (
            "",
            "not supported in",
            "the region lacks the service: switch it off by its parameter, or choose another region",
        ),
        (
            "",
            "is not available in",
            "the region lacks the service: switch it off by its parameter, or choose another region",
        ),
        (
            "",
            "not empty",
            "it stays: empty it in S3, older versions too, or keep it (--delete-data deletes the objects)",
        ),
    ];
    let fits = |of: &str, words: &str| (of.is_empty() || of == kind) && reason.contains(words);
    KNOWN.iter().find(|(of, words, _)| fits(of, words)).map(|(.., advice)| *advice)
}

#[cfg(test)]
mod tests {
    use pipeline::service::CallError;

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

    #[test]
    fn advice_fits_the_resource_and_the_reason() {
        let advice = |kind: &str, reason: &str| advice(kind, reason).unwrap_or_default();
        let database = "AWS::Glue::Database";
        for reason in
            ["Database already exists. (Service: Glue)", "AlreadyExistsException: no", "Database Already Exists"]
        {
            assert!(advice(database, reason).contains("AthenaDatabaseName=ANOTHER_NAME"), "{reason}");
        }
        assert!(advice("AWS::S3::Bucket", "trailhound-logs-1 already exists").contains("another --stack"));
        let trust = advice("AWS::CloudTrail::Trail", "CloudTrailAccessNotEnabledException: access is not enabled");
        assert!(trust.contains("enable-aws-service-access --service-principal cloudtrail.amazonaws.com"), "{trust}");
        assert_eq!(advice("AWS::SQS::Queue", "Resource handler returned message: no"), "");

        let refused = CallError::Refused(
            "ValidationError: Template format error: Unrecognized resource types: [AWS::Detective::Graph]".to_owned(),
        );
        let said = advised(AwsError::Call { call: "cloudformation:GetTemplateSummary", source: refused }).to_string();
        assert!(
            said.starts_with("cloudformation:GetTemplateSummary: ") && said.contains("choose another --region"),
            "{said}"
        );
    }
}
