//! `trailhound aws invoke`, `init` and `test-alerts`: the functions, now.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use aws::{TableNames, Tables};
use local::{SystemClock, SystemTimer};
use pipeline::collect::Timer;
use pipeline::store::Clock;
use serde_json::{Value, json};

use super::Place;
use crate::args::{FunctionName, StackArgs};
use crate::exit::{Exit, usage};
use crate::output::count;
use crate::session::Session;

/// Invocations without any progress after which `init` gives up, and the pause between them.
const PATIENCE: usize = 3;
const PAUSE: Duration = Duration::from_secs(5);

pub(super) fn invoke(
    session: &mut Session,
    function: FunctionName,
    payload: &str,
    arguments: &StackArgs,
) -> anyhow::Result<Exit> {
    let event: Value = serde_json::from_str(payload).map_err(|error| usage(format!("--payload: {error}")))?;
    let place = Place::open(session, arguments)?;
    place.stack()?;
    let answer = call(&place, function, &event)?;
    session.out.json(&answer)?;
    Ok(if answer.get("errorType").is_some() { Exit::Failed } else { Exit::Done })
}

fn call(place: &Place, function: FunctionName, event: &Value) -> anyhow::Result<Value> {
    let name = format!("{}-{}", place.name, function.as_str());
    place.account.functions(None).invoke(&name, event).with_context(|| format!("{name} cannot be invoked"))
}

pub(super) fn init(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let stack = place.stack()?;
    let mut exit = until_complete(&place, FunctionName::Tracker, &json!({}))?;
    if exit == Exit::Done && stack.output("ExporterFunctionName").is_some() {
        exit = until_complete(&place, FunctionName::Exporter, &json!({"days": 90}))?;
    }
    if exit == Exit::Done {
        session.out.line("what CloudTrail's event history holds is collected")?;
    }
    Ok(exit)
}

/// Invokes a function until it says that nothing is left to do.
fn until_complete(place: &Place, function: FunctionName, event: &Value) -> anyhow::Result<Exit> {
    let timer = SystemTimer::new(std::sync::Arc::clone(&place.stop));
    let (mut stored, mut idle) = (0, 0);
    let mut told = String::new();
    loop {
        if place.stop.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        let answer = call(place, function, event)?;
        // A failure in part carries the same summary.
        let summary = match answer["errorMessage"].as_str() {
            None => answer.clone(),
            Some(message) => serde_json::from_str(message).unwrap_or_default(),
        };
        if summary.is_null() {
            let kind = answer["errorType"].as_str().unwrap_or_default();
            bail!("{}: {kind}: {}", function.as_str(), answer["errorMessage"].as_str().unwrap_or_default());
        }
        let new = summary["stored"].as_u64().or_else(|| summary["events_stored"].as_u64()).unwrap_or(0);
        stored += new;
        let is_complete = summary["complete"] == true;
        let state = if is_complete { "complete" } else { "goes on" };
        crate::complain(&format!("{}: {} events stored, {state}", function.as_str(), count(stored)));
        let errors: Vec<&str> = summary["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let said = errors.join("\n");
        if said != told {
            crate::complain(&said);
            told = said;
        }
        if is_complete {
            return Ok(Exit::Done);
        }
        let has_progress = new > 0 || summary["duplicates"].as_u64().unwrap_or(0) > 0;
        idle = if has_progress { 0 } else { idle + 1 };
        if idle >= PATIENCE {
            return Ok(Exit::Found);
        }
        if !has_progress {
            timer.sleep(PAUSE);
        }
    }
}

pub(super) fn test_alerts(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let stack = place.stack()?;
    let topic = place.output(&stack, "SecurityAlertsTopicArn")?;
    let now = SystemClock.now();
    let id = format!("trailhound-test-{}", now.micros());
    // A made-up call that every deployment has a detection for, on the way that EventBridge's events take.
    let record = json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDATRAILHOUNDTEST000", "userName": "trailhound-test",
                         "arn": format!("arn:aws:iam::{}:user/trailhound-test", place.account.id),
                         "accountId": place.account.id},
        "eventTime": now.whole_second().to_string(),
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateAccessKey",
        "awsRegion": place.region,
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "trailhound aws test-alerts",
        "requestParameters": {"userName": "trailhound-test"},
        "responseElements": Value::Null,
        "requestID": id,
        "eventID": id,
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": place.account.id,
        "eventCategory": "Management",
    });
    let event = json!({"version": "0", "id": id, "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam",
                       "account": place.account.id, "region": place.region, "detail": record});
    let answer = call(&place, FunctionName::Alerter, &event)?;
    if let Some(message) = answer["errorMessage"].as_str() {
        crate::complain(&format!("the alerter failed: {message}; `trailhound aws logs --function alerter` says why"));
        return Ok(Exit::Found);
    }
    let table = Tables::new(&place.account, TableNames::of_stack(&place.name), None).alerts(None);
    let mut sent = 0;
    for (detection, delivery) in table.deliveries(&id)? {
        let state = delivery.map_or("not to be sent", pipeline::outbox::Delivery::as_str);
        session.out.line(&format!("{detection}: {state}"))?;
        sent += usize::from(delivery == Some(pipeline::outbox::Delivery::Sent));
    }
    if sent == 0 {
        crate::complain("no alert was sent: is EnableSecurityAlerts on?");
        return Ok(Exit::Found);
    }
    session
        .out
        .line(&format!("the topic {topic} has taken it; whether it arrives is between SNS and its subscribers"))?;
    Ok(Exit::Done)
}
