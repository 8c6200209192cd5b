//! Slack, Teams, PagerDuty and one's own webhooks over HTTP, with all that can go wrong on the way.

use std::time::{Duration, Instant};

use pipeline::notify::{Parcel, Verdict};

use crate::server::{Reply, Server, say};
use crate::{alert, alerts, channel, hostile, one, reason, try_channel};

fn hook(server: &Server, more: &str) -> pipeline::notify::Channel {
    channel(&format!("kind = 'webhook'\nurl = '{}/hook/S3CRET-PATH'\ntimeout_seconds = 1\n{more}", server.address))
}

#[test]
fn an_alert_arrives_with_a_signature_that_can_be_checked() {
    let server = Server::new(vec![say(204, "")]);
    let more = "secret = 'signing-key'\nheaders = { Authorization = 'Bearer T0K3N' }\nrecord = true";
    assert_eq!(hook(&server, more).notifier.send(&one()), Verdict::Delivered);
    let [heard] = server.heard().try_into().unwrap();
    assert_eq!(heard.line, "POST /hook/S3CRET-PATH HTTP/1.1");
    assert_eq!(heard.header("authorization"), Some("Bearer T0K3N"));
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(heard.header("idempotency-key"), Some(alert().id.as_str()));
    assert_eq!(heard.header("x-trailhound-timestamp"), Some("1768478405"));
    assert!(heard.header("user-agent").unwrap().starts_with("trailhound/"));
    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"signing-key").unwrap();
    mac.update(format!("1768478405.{}", heard.body).as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(heard.header("x-trailhound-signature"), Some(&*format!("v1={expected}")));
    let body = heard.json();
    assert_eq!(body["kind"], "alert");
    assert_eq!(body["alerts"][0]["record"]["requestParameters"]["userName"], "bob");
}

#[test]
fn what_goes_wrong_is_told_without_a_secret() {
    let moved = Reply::Say(302, "location: http://127.0.0.1:1/elsewhere\r\n", String::new());
    let busy = Reply::Say(429, "retry-after: 17\r\n", "slow down".to_owned());
    for (reply, expected) in [
        (say(500, "S3CRET-PATH? <b>\u{1b}[2J</b>"), Verdict::retry("HTTP 500: ***? <b>\\u{1b}[2J</b>")),
        (busy, Verdict::Retry { after: Some(Duration::from_secs(17)), reason: "HTTP 429: slow down".to_owned() }),
        (say(400, "bad T0K3N-T0K3N"), Verdict::refused("HTTP 400: bad ***")),
        (moved, Verdict::retry("HTTP 302: the address has moved; configure the new one")),
        (Reply::Hang, Verdict::retry("no answer within 1 s")),
        (Reply::Drip, Verdict::retry("no answer within 1 s")),
    ] {
        let server = Server::new(vec![reply.clone()]);
        let started = Instant::now();
        let verdict = hook(&server, "secret = 'T0K3N-T0K3N'").notifier.send(&one());
        assert_eq!(verdict, expected, "{reply:?}");
        assert!(started.elapsed() < Duration::from_secs(4), "{reply:?}");
        assert_eq!(server.heard().len(), 1, "{reply:?}: neither repeated nor redirected");
    }
    let server = Server::new(vec![Reply::Cut]);
    let verdict = hook(&server, "").notifier.send(&one());
    assert!(
        matches!(verdict, Verdict::Retry { .. }) && reason(&verdict).starts_with("the connection failed"),
        "{verdict:?}"
    );
    let nobody = channel("kind = 'webhook'\nurl = 'http://127.0.0.1:1/S3CRET-PATH'");
    let verdict = nobody.notifier.send(&one());
    assert!(reason(&verdict).starts_with("cannot connect") && !reason(&verdict).contains("S3CRET"), "{verdict:?}");
}

#[test]
fn a_body_of_ones_own_stays_what_it_is() {
    let server = Server::new(vec![say(200, "ok")]);
    let more = "body = '{\"text\": \"{{SEVERITY}} {{title}}: {{user}}\", \"alert\": {{alert}}}'";
    assert_eq!(hook(&server, more).notifier.send(&Parcel::one(hostile())), Verdict::Delivered);
    let body = server.heard()[0].json();
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert!(body["text"].as_str().unwrap().contains("{{title}}"), "a value is no placeholder");

    let form =
        hook(&server, "method = 'PUT'\ncontent_type = 'application/x-www-form-urlencoded'\nbody = 'a={{user}}&b=1'");
    assert_eq!(form.notifier.send(&Parcel::one(hostile())), Verdict::Delivered);
    let heard = &server.heard()[1];
    assert!(heard.line.starts_with("PUT ") && heard.body.matches('&').count() == 1 && heard.body.ends_with("&b=1"));
}

#[test]
fn findings_go_as_ocsf_and_asff() {
    let server = Server::new(vec![say(200, "")]);
    for (format, field) in [("ocsf", "class_uid"), ("asff", "SchemaVersion")] {
        let channel = hook(&server, &format!("format = '{format}'"));
        assert_eq!(channel.notifier.send(&Parcel::digest(alerts(3)).unwrap()), Verdict::Delivered);
        let findings = server.heard().pop().unwrap().json();
        assert_eq!(findings.as_array().unwrap().len(), 3);
        assert!(!findings[2][field].is_null());
    }
}

#[test]
fn slack_and_teams_and_pagerduty_take_their_messages() {
    let server = Server::new(vec![say(202, "ok")]);
    for keys in [
        format!("kind = 'slack'\nwebhook = '{}/services/T0K3N'", server.address),
        format!("kind = 'teams'\nwebhook = '{}/workflows/T0K3N'", server.address),
        format!("kind = 'pagerduty'\nrouting_key = 'R0UT1NG'\nendpoint = '{}/v2/enqueue'", server.address),
    ] {
        for parcel in
            [one(), Parcel::one(hostile()), Parcel::alike(alerts(42)).unwrap(), Parcel::digest(alerts(200)).unwrap()]
        {
            assert_eq!(channel(&keys).notifier.send(&parcel), Verdict::Delivered, "{keys}");
            let heard = server.heard().pop().unwrap();
            assert_eq!(heard.header("content-type"), Some("application/json; charset=utf-8"));
            assert!(heard.json().is_object() && heard.body.len() < 28 * 1024, "{} bytes", heard.body.len());
        }
    }
    assert_eq!(server.heard().last().unwrap().json()["routing_key"], "R0UT1NG");
}

#[test]
fn a_bot_keeps_one_thread_for_each_principal() {
    let ok = |ts: &str| say(200, &format!(r#"{{"ok": true, "ts": "{ts}"}}"#));
    let server =
        Server::new(vec![ok("1.1"), ok("1.2"), ok("2.1"), say(200, r#"{"ok": false, "error": "not_in_channel"}"#)]);
    let keys = format!("kind = 'slack'\ntoken = 'xoxb-T0K3N'\nchannel = 'C1'\napi = '{}/api/'", server.address);
    let slack = channel(&keys);
    let other =
        pipeline::alert::Alert { role_arn: None, actor_arn: Some("arn:aws:iam::1:user/eve".to_owned()), ..alert() };
    for parcel in [one(), one(), Parcel::one(other)] {
        assert_eq!(slack.notifier.send(&parcel), Verdict::Delivered);
    }
    assert_eq!(slack.notifier.send(&one()), Verdict::retry("Slack says not_in_channel"));
    let threads: Vec<_> = server.heard().iter().map(|heard| heard.json()["thread_ts"].clone()).collect();
    assert_eq!(threads, [serde_json::Value::Null, "1.1".into(), serde_json::Value::Null, "1.1".into()]);
    let first = &server.heard()[0];
    assert_eq!(first.line, "POST /api/chat.postMessage HTTP/1.1");
    assert_eq!(first.header("authorization"), Some("Bearer xoxb-T0K3N"));
    assert_eq!(first.json()["channel"], "C1");
}

#[test]
fn a_mistake_in_a_channel_is_told_before_anything_is_sent() {
    for (keys, expected) in [
        ("kind = 'slack'", "channel \"c\": slack needs either webhook, or token and channel"),
        ("kind = 'teams'\nwebhook = 'hooks/S3CRET'", "channel \"c\": webhook is no address that begins with https://"),
        (
            "kind = 'webhook'\nurl = 'https://h'\nbody = '{{usr}}'",
            "channel \"c\": body: there is no placeholder \"usr\"; did you mean \"user\"?",
        ),
        (
            "kind = 'webhook'\nurl = { env = 'NO_SUCH_HOOK' }",
            "channel \"c\": the environment variable NO_SUCH_HOOK is not set",
        ),
        ("kind = 'email'\nhost = 'h'\nfrom = 'a@b.example'\nto = ['x']", "channel \"c\": \"x\" is no address"),
        (
            "kind = 'email'\nhost = 'h'\nfrom = 'a@b.example'\nto = ['c@d.example']\nsecurity = 'none'\nuser = 'u'\npassword = 'p'",
            "channel \"c\": a password is not sent without TLS but to this machine",
        ),
        (
            "kind = 'syslog'\naddress = 'siem'",
            "channel \"c\": address is no host with a port, such as \"siem.example.com:514\"",
        ),
        ("kind = 'command'\ncommand = []", "channel \"c\": command names no program"),
        (
            "kind = 'sns'\ntopic = 'alerts'",
            "channel \"c\": topic is no ARN such as arn:aws:sns:us-east-1:111122223333:alerts",
        ),
    ] {
        assert_eq!(try_channel(keys).err().as_deref(), Some(expected), "{keys}");
    }
}
