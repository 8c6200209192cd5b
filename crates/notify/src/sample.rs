//! Alerts to try channels with: one for each detection, which says that nothing has happened.

use detect::{Detection, Finding, Triggers};
use event::{Event, Timestamp};
use pipeline::alert::{Alert, Arrival, Occasion};
use pipeline::notify::{Channel, Parcel};
use serde_json::json;

/// A sample for each detection.
#[must_use]
pub fn samples(now: Timestamp) -> Vec<Alert> {
    detect::all().iter().map(|detection| sample(detection, now)).collect()
}

/// A sample of what a detection finds: an event of a kind that it looks at, by AWS's own example account and user, from an
/// address of documentation (RFC 5737).
#[must_use]
pub fn sample(detection: &'static Detection, now: Timestamp) -> Alert {
    let (service, name) = match detection.triggers {
        Triggers::Calls([calls, ..]) => (calls.service, calls.names.first().copied().unwrap_or("GetUser")),
        Triggers::Calls([]) | Triggers::EveryEvent | Triggers::Otherwise => ("iam", "GetUser"),
    };
    let account = "111122223333";
    let record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDACKCEVSQ6C2EXAMPLE",
            "arn": format!("arn:aws:iam::{account}:user/sample"),
            "accountId": account,
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "userName": "sample",
        },
        "eventTime": now.whole_second().to_string(),
        "eventSource": format!("{service}.amazonaws.com"),
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "Trailhound's sample",
        "requestParameters": null,
        "responseElements": null,
        "eventID": format!("sample-{}", detection.id),
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": account,
        "eventCategory": "Management",
    });
    let text = record.to_string();
    // It is a record; were it none, the alert would say less.
    let event = event::decode::record(&text).unwrap_or_else(|_| Event::new(now));
    let finding = Finding {
        detection,
        severity: detection.severity,
        title: format!("Test: {}", detection.title),
        summary: format!("This is a test of the channel; nothing has happened. {}", detection.docs.summary),
        attempted: false,
    };
    Alert::new(&event, finding, Occasion { now, arrival: Arrival::Live, run: None })
}

/// What a channel would be sent of an alert.
#[must_use]
pub fn preview(channel: &Channel, alert: Alert) -> String {
    channel.notifier.preview(&Parcel::one(alert))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detection_has_a_sample_with_an_event_it_looks_at() {
        let samples = samples(Timestamp::MIN);
        assert_eq!(samples.len(), detect::all().len());
        for (sample, detection) in samples.iter().zip(detect::all()) {
            assert_eq!(sample.detection, detection.id);
            assert!(sample.summary.starts_with("This is a test"), "{}", sample.summary);
            assert_eq!(sample.account.as_deref(), Some("111122223333"));
            if let Triggers::Calls(calls) = detection.triggers {
                let name = sample.event_name.as_deref().unwrap();
                assert!(calls.iter().any(|calls| calls.names.contains(&name)), "{name}");
            }
        }
    }
}
