//! What each channel sends, as snapshots.

use insta::assert_snapshot;
use pipeline::notify::Parcel;

use crate::{alerts, channel, hostile, one};

/// The keys of every kind, with secrets that must not be seen.
const CHANNELS: &[(&str, &str)] = &[
    ("slack", "kind = 'slack'\nwebhook = 'https://hooks.slack.example/S3CRET'"),
    ("slack-bot", "kind = 'slack'\ntoken = 'xoxb-S3CRET'\nchannel = 'C0123456789'"),
    ("teams", "kind = 'teams'\nwebhook = 'https://teams.example/S3CRET'"),
    ("pagerduty", "kind = 'pagerduty'\nrouting_key = 'S3CRET-KEY'"),
    (
        "email",
        "kind = 'email'\nhost = 'smtp.example.com'\nuser = 'u'\npassword = 'S3CRET'\nfrom = 'a@example.com'\nto = ['b@example.com']",
    ),
    ("webhook", "kind = 'webhook'\nurl = 'https://hook.example/S3CRET'\nsecret = 'S3CRET'"),
    ("syslog", "kind = 'syslog'\naddress = 'siem.example.com:514'"),
    ("cef", "kind = 'syslog'\naddress = 'siem.example.com:514'\nformat = 'cef'\ntransport = 'tcp'"),
    ("security-hub", "kind = 'security-hub'"),
    ("ocsf", "kind = 'file'\npath = 'findings.jsonl'\nformat = 'ocsf'"),
    ("sns", "kind = 'sns'\ntopic = 'arn:aws:sns:us-east-1:111122223333:alerts'"),
    ("file", "kind = 'file'\npath = 'alerts.jsonl'"),
    ("command", "kind = 'command'\ncommand = ['notify-send', '--urgent']"),
];

#[test]
fn one_alert() {
    for (name, keys) in CHANNELS {
        assert_snapshot!(format!("one-{name}"), channel(keys).notifier.preview(&one()));
    }
}

#[test]
fn many_alerts() {
    for (name, keys) in CHANNELS.iter().filter(|(name, _)| ["slack", "teams", "pagerduty", "sns"].contains(name)) {
        let alike = Parcel::alike(alerts(42)).unwrap();
        assert_snapshot!(format!("alike-{name}"), channel(keys).notifier.preview(&alike));
        let digest = Parcel::digest(alerts(3)).unwrap();
        assert_snapshot!(format!("digest-{name}"), channel(keys).notifier.preview(&digest));
    }
}

#[test]
fn a_stranger_s_text_does_no_harm_anywhere_and_no_secret_is_seen() {
    for (name, keys) in CHANNELS {
        let shown = channel(keys).notifier.preview(&Parcel::one(hostile()));
        assert_snapshot!(format!("hostile-{name}"), shown);
        assert!(!shown.contains("S3CRET"), "{name}: {shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{name}: {shown}");
        assert!(!shown.lines().any(|line| line.starts_with("Bcc")), "{name}: {shown}");
    }
}

#[test]
fn every_detection_has_a_sample_for_every_channel() {
    let samples = notify::samples(event::Timestamp::parse("2026-01-15T12:00:00Z").unwrap());
    for (name, keys) in CHANNELS {
        let channel = channel(keys);
        for sample in &samples {
            let shown = notify::preview(&channel, sample.clone());
            assert!(shown.contains("Test: "), "{name}: {shown}");
        }
    }
}
