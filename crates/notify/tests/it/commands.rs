//! Programs, files and the ports to AWS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pipeline::notify::{Parcel, Verdict};

use crate::{Aws, alerts, channel, hostile, means_with, one, reason};

#[test]
fn a_file_has_a_line_for_each_alert() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    for (format, field) in [("json", "record"), ("ocsf", "class_uid"), ("asff", "SchemaVersion")] {
        let _ = std::fs::remove_file(&path);
        let file = channel(&format!("kind = 'file'\npath = '{}'\nformat = '{format}'", path.display()));
        assert_eq!(file.notifier.send(&Parcel::digest(alerts(3)).unwrap()), Verdict::Delivered);
        assert_eq!(file.notifier.send(&Parcel::one(hostile())), Verdict::Delivered);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| !line[field].is_null()));
    }
    let nowhere = channel("kind = 'file'\npath = '/no/such/folder/alerts.jsonl'");
    assert!(matches!(nowhere.notifier.send(&one()), Verdict::Retry { .. }));
}

#[cfg(unix)]
#[test]
fn a_program_gets_the_alert_and_no_shell_does() {
    let folder = tempfile::tempdir().unwrap();
    let (input, variables) = (folder.path().join("stdin"), folder.path().join("env"));
    let script = format!("cat > {}; env > {}", input.display(), variables.display());
    let program = channel(&format!("kind = 'command'\ncommand = ['sh', '-c', '{script}', '$(touch /no)']"));
    assert_eq!(program.notifier.send(&Parcel::one(hostile())), Verdict::Delivered);
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(input).unwrap()).unwrap();
    assert_eq!(document["count"], 1);
    let variables = std::fs::read_to_string(variables).unwrap();
    assert!(variables.contains("TRAILHOUND_ALERT_SEVERITY=critical\n"), "{variables}");
    assert!(!variables.contains("\nBcc:"), "{variables}");
}

#[cfg(unix)]
#[test]
fn a_program_that_fails_or_hangs_is_told_of() {
    let fails = channel("kind = 'command'\ncommand = ['false']");
    assert!(reason(&fails.notifier.send(&one())).starts_with("false ended with "));
    let absent = channel("kind = 'command'\ncommand = ['/no/such/program']");
    assert!(reason(&absent.notifier.send(&one())).starts_with("/no/such/program cannot be run"));
    let started = Instant::now();
    let hangs = channel("kind = 'command'\ncommand = ['sleep', '60']\ntimeout_seconds = 1");
    assert_eq!(hangs.notifier.send(&one()), Verdict::retry("sleep was ended after 1 s"));
    assert!(started.elapsed() < Duration::from_secs(4));
    // One that does not listen to a megabyte has its variables all the same.
    let deaf = channel("kind = 'command'\ncommand = ['true']");
    assert_eq!(deaf.notifier.send(&Parcel::digest(alerts(500)).unwrap()), Verdict::Delivered);
}

#[test]
fn aws_is_told_through_its_ports() {
    let aws: Arc<Aws> = Arc::default();
    let configs = "[[notify]]\nname = 'hub'\nkind = 'security-hub'\n[[notify]]\nname = 'topic'\nkind = 'sns'\n\
                   topic = 'arn:aws:sns:us-east-1:111122223333:alerts'\n[[notify]]\nname = 'off'\nkind = 'file'\n\
                   path = 'x'\nenabled = false";
    let configs: std::collections::BTreeMap<String, Vec<notify::ChannelConfig>> = toml::from_str(configs).unwrap();
    let (channels, routes) = notify::build(&configs["notify"], &means_with(&aws)).unwrap();
    let [hub, topic] = channels.try_into().ok().unwrap();
    assert_eq!(routes.channels.len(), 2);
    assert_eq!(hub.notifier.send(&Parcel::digest(alerts(250)).unwrap()), Verdict::Delivered);
    assert_eq!(*aws.imported.lock().unwrap(), [100, 100, 50]);
    let sent = one();
    assert_eq!(topic.notifier.send(&sent), Verdict::Delivered);
    let [published] = aws.published.lock().unwrap().clone().try_into().unwrap();
    assert_eq!(published.subject, "[CRITICAL] IAM Alert: Access Key Created");
    let attributes: Vec<_> = published.attributes.iter().map(|each| (each.name, &*each.value)).collect();
    let expected = [
        ("severity", "CRITICAL"),
        ("event_name", "CreateAccessKey"),
        ("detection", "access-key-created"),
        ("account", "111122223333"),
        ("alert_id", sent.first().id.as_str()),
    ];
    assert_eq!(attributes, expected);
}
