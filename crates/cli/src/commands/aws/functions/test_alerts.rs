//! `trailhound aws test-alerts`: an event through the alerter's queue, and the alert it makes.
//!
//! EventBridge takes no event of AWS's own services from anybody, so that the rules are the one part that is not gone through.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use aws::{TableNames, Tables, TrailQueue};
use local::{SystemClock, SystemTimer};
use pipeline::collect::Timer;
use pipeline::outbox::Delivery;
use pipeline::store::Clock;
use serde_json::{Value, json};

use super::super::{Place, deploy};
use crate::args::StackArgs;
use crate::exit::Exit;
use crate::session::Session;

/// How long an alert is waited for, and the pause between two looks. It takes a few seconds, with a cold start.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// The alerts of an event: their detections, and what has become of them.
type Alerts = [(String, Option<Delivery>)];

pub(in super::super) fn test_alerts(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let stack = place.stack()?;
    if !deploy::has_alerts(&stack) {
        crate::complain("no alert was sent: EnableSecurityAlerts is off");
        return Ok(Exit::Found);
    }
    let topic = place.output(&stack, "SecurityAlertsTopicArn")?;
    let url = place.output(&stack, "AlertsQueueUrl")?;
    let now = SystemClock.now();
    let id = format!("trailhound-test-{}", now.micros());
    // A made-up call that every deployment has a detection for, as EventBridge puts calls into the queue.
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
    let queue = TrailQueue::new(&place.account, &url, Some(&place.region))?;
    queue.send(&event.to_string()).context("the alerter's queue does not take an event")?;

    let table = Tables::new(&place.account, TableNames::of_stack(&place.name), None).alerts(None);
    let timer = SystemTimer::new(Arc::clone(&place.stop));
    let mut alerts = table.deliveries(&id)?;
    for _ in 0..PATIENCE.as_secs() / PAUSE.as_secs() {
        if !is_waited_for(&alerts) {
            break;
        }
        timer.sleep(PAUSE);
        if place.stop.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        alerts = table.deliveries(&id)?;
    }
    for (detection, delivery) in &alerts {
        session.out.line(&format!("{detection}: {}", delivery.map_or("not to be sent", Delivery::as_str)))?;
    }
    if let Some(silent) = silent(&alerts) {
        crate::complain(silent);
        return Ok(Exit::Found);
    }
    session
        .out
        .line(&format!("the topic {topic} has taken it; whether it arrives is between SNS and its subscribers"))?;
    Ok(Exit::Done)
}

/// Whether more is to come.
fn is_waited_for(alerts: &Alerts) -> bool {
    alerts.is_empty() || alerts.iter().any(|(_, delivery)| *delivery == Some(Delivery::Pending))
}

/// The part that did not do what it should, where no alert was sent.
fn silent(alerts: &Alerts) -> Option<&'static str> {
    let is_any = |wanted| alerts.iter().any(|(_, delivery)| *delivery == wanted);
    match () {
        () if is_any(Some(Delivery::Sent)) => None,
        () if alerts.is_empty() => Some(
            "no alert was made within a minute: the queue has the event, and the alerter has not taken it or has failed; \
             `trailhound aws logs --function alerter` says which",
        ),
        () if is_any(None) && !is_any(Some(Delivery::Pending)) && !is_any(Some(Delivery::Failed)) => Some(
            "no alert was sent: a suppression silences it; `trailhound suppress list --store dynamodb://STACK` shows them",
        ),
        () => {
            Some("the alert was made and the topic has not taken it: `trailhound aws logs --function alerter` says why")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_is_silent_is_named() {
        let alerts = |states: &[Option<Delivery>]| -> Vec<_> {
            states.iter().map(|state| ("access-key-created".to_owned(), *state)).collect()
        };
        let (sent, pending, failed) = (Some(Delivery::Sent), Some(Delivery::Pending), Some(Delivery::Failed));
        for (states, is_waited, said) in [
            (&[][..], true, Some("the alerter has not taken it")),
            (&[pending], true, Some("the topic has not taken it")),
            (&[failed], false, Some("the topic has not taken it")),
            (&[None, failed], false, Some("the topic has not taken it")),
            (&[None], false, Some("a suppression silences it")),
            (&[None, sent], false, None),
            (&[sent, pending], true, None),
        ] {
            let alerts = alerts(states);
            assert_eq!(is_waited_for(&alerts), is_waited, "{alerts:?}");
            assert_eq!(silent(&alerts).is_some(), said.is_some(), "{alerts:?}");
            assert!(silent(&alerts).unwrap_or_default().contains(said.unwrap_or_default()), "{alerts:?}");
        }
    }
}
