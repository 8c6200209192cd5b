//! Mail over a real conversation of SMTP.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pipeline::notify::{Parcel, Verdict};
use serde_json::Value;

use crate::{alerts, channel, hostile, one, reason};

/// What a server has got.
#[derive(Debug, Clone, Default)]
struct Got {
    commands: Vec<String>,
    mails: Vec<String>,
}

/// A server that answers each command as `answer` says, and otherwise as if all were well.
fn server(answer: fn(&str) -> Option<&'static str>) -> (u16, Arc<Mutex<Got>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let got: Arc<Mutex<Got>> = Arc::default();
    let log = Arc::clone(&got);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let log = Arc::clone(&log);
            thread::spawn(move || talk(stream.unwrap(), &log, answer));
        }
    });
    (port, got)
}

fn talk(mut stream: TcpStream, log: &Mutex<Got>, answer: fn(&str) -> Option<&'static str>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    stream.write_all(answer("hello").unwrap_or("220 test\r\n").as_bytes()).ok()?;
    while let Some(Ok(line)) = lines.next() {
        log.lock().unwrap().commands.push(line.clone());
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let said = answer(&verb);
        if said == Some("hang") {
            thread::sleep(Duration::from_secs(60));
        }
        let default = match verb.as_str() {
            "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
            "AUTH" => "235 welcome\r\n",
            "DATA" => "354 go on\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        stream.write_all(said.unwrap_or(default).as_bytes()).ok()?;
        if verb == "DATA" && said.is_none() {
            let mut mail = String::new();
            for line in lines.by_ref() {
                let line = line.ok()?;
                if line == "." {
                    break;
                }
                mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                mail.push('\n');
            }
            log.lock().unwrap().mails.push(mail);
            stream.write_all(answer("mail").unwrap_or("250 taken\r\n").as_bytes()).ok()?;
        }
    }
    Some(())
}

fn keys(port: u16) -> String {
    format!(
        "kind = 'email'\nhost = '127.0.0.1'\nport = {port}\nsecurity = 'none'\ntimeout_seconds = 2\n\
         from = 'Trailhound <alerts@example.com>'\nto = ['security@example.com', 'Bob <bob@example.com>']\n"
    )
}

#[test]
fn a_mail_arrives_at_every_recipient() {
    let (port, got) = server(|_| None);
    let mail = channel(&(keys(port) + "user = 'u'\npassword = 'S3CRET'"));
    assert_eq!(mail.notifier.send(&one()), Verdict::Delivered);
    let got = got.lock().unwrap().clone();
    let recipients: Vec<_> = got.commands.iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(recipients, ["RCPT TO:<security@example.com>", "RCPT TO:<bob@example.com>"]);
    assert!(got.commands.iter().any(|line| line.starts_with("AUTH PLAIN")));
    let [mail] = got.mails.try_into().unwrap();
    let (headers, body) = mail.split_once("\n\n").unwrap();
    assert!(headers.contains("Subject: [CRITICAL] IAM Alert: Access Key Created\n"), "{headers}");
    assert!(headers.contains("Date: Thu, 15 Jan 2026 12:00:05 +0000\n"), "{headers}");
    assert!(headers.contains(&format!("Message-ID: <{}@trailhound.invalid>", one().key())), "{headers}");
    assert!(
        body.contains("Content-Type: text/plain; charset=utf-8")
            && body.contains("Content-Type: text/html; charset=utf-8")
    );
    assert!(body.contains("- Session: mallory"), "{body}");
}

#[test]
fn no_alert_adds_a_header_a_recipient_or_a_tag() {
    let (port, got) = server(|_| None);
    for parcel in [Parcel::one(hostile()), Parcel::digest(vec![hostile(); 3]).unwrap()] {
        assert_eq!(channel(&keys(port)).notifier.send(&parcel), Verdict::Delivered);
    }
    assert_eq!(channel(&keys(port)).notifier.send(&Parcel::alike(alerts(300)).unwrap()), Verdict::Delivered);
    let got = got.lock().unwrap().clone();
    assert_eq!(got.commands.iter().filter(|line| line.starts_with("RCPT")).count(), 6);
    assert_eq!(got.mails.len(), 3);
    for mail in &got.mails {
        let (headers, body) = mail.split_once("\n\n").unwrap();
        let names: Vec<&str> = headers
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert_eq!(names, ["From", "Subject", "Date", "Message-ID", "To", "MIME-Version", "Content-Type"], "{headers}");
        let (_, page) = body.split_once("Content-Type: text/html").unwrap();
        assert!(!page.contains("<script") && !page.contains("<https"), "{page}");
        assert!(!mail.lines().any(|line| line.starts_with("Bcc")));
    }
}

#[test]
fn a_server_that_fails_is_told_of_without_the_password() {
    fn down(verb: &str) -> Option<&'static str> {
        (verb == "hello").then_some("421 S3CRET-PASSWORD is down\r\n")
    }
    fn greylisting(verb: &str) -> Option<&'static str> {
        (verb == "RCPT").then_some("451 try later\r\n")
    }
    fn wrong_password(verb: &str) -> Option<&'static str> {
        (verb == "AUTH").then_some("535 no S3CRET-PASSWORD\r\n")
    }
    fn spam(verb: &str) -> Option<&'static str> {
        (verb == "mail").then_some("554 spam\r\n")
    }
    fn hangs(verb: &str) -> Option<&'static str> {
        (verb == "EHLO").then_some("hang")
    }
    let send = |answer| {
        let (port, _) = server(answer);
        channel(&(keys(port) + "user = 'u'\npassword = 'S3CRET-PASSWORD'")).notifier.send(&one())
    };
    for (answer, expected) in [
        (down as fn(&str) -> Option<&'static str>, "***"),
        (greylisting, "try later"),
        (wrong_password, "***"),
        (hangs, ""),
    ] {
        let verdict = send(answer);
        assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
        assert!(reason(&verdict).contains(expected) && !reason(&verdict).contains("S3CRET"), "{verdict:?}");
    }
    assert!(matches!(send(spam), Verdict::Refused { .. }));
}

#[test]
fn without_starttls_nothing_is_sent() {
    let (port, got) = server(|_| None);
    let keys = keys(port).replace("security = 'none'", "security = 'starttls'");
    let verdict = channel(&(keys + "user = 'u'\npassword = 'S3CRET'")).notifier.send(&one());
    assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
    let got = got.lock().unwrap().clone();
    assert!(got.mails.is_empty() && !got.commands.iter().any(|line| line.starts_with("AUTH")), "{got:?}");
}

/// A server of mail with TLS; it ends with the test.
struct Secured {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    about: Value,
    _folder: tempfile::TempDir,
}

impl Drop for Secured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Secured {
    /// `None` where the tests' Python is not set up: `cargo xtask test` does that.
    fn start() -> Option<Secured> {
        let python = std::env::var_os("TRAILHOUND_PYTHON").filter(|path| !path.is_empty())?;
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python);
        command.arg("tests/smtp.py").arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Secured { child, lines, about: Value::Null, _folder: folder };
        server.about = server.said();
        Some(server)
    }

    /// The next thing it says.
    fn said(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    fn send(&self, security: &str, authority: Option<&str>, password: &str) -> Verdict {
        let keys = keys(self.about[security].as_u64().unwrap() as u16);
        let mut keys = keys.replace("security = 'none'", &format!("security = '{security}'"));
        if let Some(authority) = authority {
            keys += &format!("authority = '{}'\n", self.about[authority].as_str().unwrap());
        }
        channel(&(keys + &format!("user = 'trailhound'\npassword = '{password}'\n"))).notifier.send(&one())
    }
}

#[test]
fn a_mail_goes_over_tls_to_a_server_whose_authority_is_known_and_to_no_other() {
    let Some(mut server) = Secured::start() else { return };
    for security in ["tls", "starttls"] {
        assert_eq!(server.send(security, Some("authority"), "pass word"), Verdict::Delivered, "{security}");
        let got = server.said();
        assert_eq!((&got["user"], &got["tls"]), (&"trailhound".into(), &"TLSv1.3".into()));
        assert!(got["mail"].as_str().unwrap().contains("Subject: [CRITICAL] IAM Alert: Access Key Created"));
        // Without it, or with another, not even the password is sent.
        for authority in [None, Some("stranger")] {
            let verdict = server.send(security, authority, "pass word");
            assert!(matches!(verdict, Verdict::Retry { .. }), "{security}: {verdict:?}");
            assert!(reason(&verdict).contains("certificate"), "{verdict:?}");
            assert!(server.said()["broken"].is_string(), "{security}: nothing is taken");
        }
        let refused = server.send(security, Some("authority"), "wrong-password");
        assert!(matches!(refused, Verdict::Retry { .. }), "{refused:?}");
        assert!(reason(&refused).contains("535") && !reason(&refused).contains("wrong-password"), "{refused:?}");
    }
}
