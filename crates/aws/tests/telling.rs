//! Amazon SNS, Security Hub, Secrets Manager and Systems Manager through the channels and ports that use them, against an
//! account that moto plays on this machine: it checks signatures and rights.
//!
//! `TRAILHOUND_PYTHON` names an interpreter with moto installed; without it the tests that need one say so and pass.
//! What reads the environment runs in a process of its own, so that each has its own credentials and endpoints.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's set-up fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws::{Access, Aws, Role};
use event::Timestamp;
use event::arn::Arn;
use notify::{
    ChannelConfig, Edge, FindImporter, ImportFindings, Means, MemoryThreads, Publication, Publish, SecretSource,
    SecretStore, Settings,
};
use pipeline::alert::Alert;
use pipeline::notify::{Channel, Parcel, Verdict};
use pipeline::store::Clock;
use serde_json::{Value, json};

/// What is in the account, for the processes that the tests start.
const ACCOUNT: &str = "TRAILHOUND_TEST_ACCOUNT";
const LIMIT: Duration = Duration::from_millis(700);
const MOTO_ACCOUNT: &str = "123456789012";

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-01-15T12:00:05Z").unwrap()
    }
}

/// The account that moto plays.
struct Stage {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    account: Value,
}

impl Stage {
    /// `None` where there is no Python to play with.
    fn open() -> Option<Stage> {
        let Some(python) = std::env::var_os("TRAILHOUND_PYTHON").filter(|path| !path.is_empty()) else {
            eprintln!("skipped: TRAILHOUND_PYTHON is not set");
            return None;
        };
        let mut command = Command::new(python);
        command.arg("tests/account.py").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut stage = Stage { child, input, output, account: Value::Null };
        stage.account = stage.line();
        Some(stage)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the account: {error}: {line:?}"))
    }

    /// `look`: what has arrived; `guard`: signatures and rights are checked from now on.
    fn ask(&mut self, what: &str) -> Value {
        writeln!(self.input, "{what}").unwrap();
        self.line()
    }

    fn text(&self, key: &str) -> &str {
        self.account[key].as_str().unwrap()
    }

    /// Runs one of the processes below with a user's credentials.
    fn play(&self, process: &str, user: &str, endpoints: &[(&str, &str)]) {
        let key = |place: usize| self.account[user][place].as_str().unwrap();
        run(process, &self.account, (key(0), key(1)), endpoints);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing more is wanted of it, whatever state it is in.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(process: &str, account: &Value, (id, secret): (&str, &str), endpoints: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([process, "--exact", "--ignored", "--nocapture"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .envs([("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_REGION", "us-east-1")])
        .envs([("AWS_CONFIG_FILE", "none"), ("AWS_SHARED_CREDENTIALS_FILE", "none")])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(ACCOUNT, account.to_string())
        .envs(endpoints.iter().copied());
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{process}: {said}");
}

/// What a process below works with.
struct World {
    account: Value,
    aws: Aws,
}

impl World {
    fn new() -> World {
        let account = serde_json::from_str(&std::env::var(ACCOUNT).expect("a parent")).unwrap();
        World { account, aws: Aws::open(&Access::default(), None).unwrap() }
    }

    fn text(&self, key: &str) -> &str {
        self.account[key].as_str().unwrap()
    }

    fn channel(&self, config: Value) -> Channel {
        let config: ChannelConfig = serde_json::from_value(config).unwrap();
        let is_hub = matches!(config.settings, Settings::SecurityHub(_));
        // Whose Security Hub it is has to be asked.
        let hub = is_hub.then(|| Arc::new(self.aws.own().unwrap().security_hub(None)) as Arc<dyn ImportFindings>);
        let importer = hub.map(|hub| Arc::new(move || Ok(Arc::clone(&hub))) as Arc<FindImporter>);
        let means = Means {
            edge: Arc::new(Edge::new().unwrap()),
            clock: Arc::new(Noon),
            secrets: Arc::new(self.aws.secrets()),
            publisher: Some(Arc::new(self.aws.topics())),
            importer,
            threads: Arc::new(MemoryThreads::default()),
        };
        notify::build(&[config], &means).unwrap().0.remove(0)
    }

    fn publish(&self, topic: &str) -> Verdict {
        self.channel(json!({"name": "c", "kind": "sns", "topic": topic, "timeout_seconds": 5})).notifier.send(&parcel())
    }

    fn import(&self) -> Verdict {
        self.channel(json!({"name": "c", "kind": "security-hub"})).notifier.send(&parcel())
    }

    fn secret(&self, arn: &str) -> Result<String, String> {
        let secret = SecretSource::Aws(arn.to_owned()).resolve(&self.aws.secrets());
        secret.map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
    }
}

fn alert() -> Alert {
    let detection = detect::all().iter().find(|detection| detection.id == "root-activity");
    notify::sample(detection.unwrap_or(&detect::all()[0]), Noon.now())
}

fn parcel() -> Parcel {
    Parcel::one(alert())
}

fn publication() -> Publication {
    Publication {
        topic: "arn:aws:sns:us-east-1:111122223333:alerts".to_owned(),
        subject: "s".to_owned(),
        message: "m".to_owned(),
        attributes: Vec::new(),
        deduplication_id: "d".to_owned(),
    }
}

/// The endpoints of the single services, and one that leads nowhere for all the others.
#[test]
fn what_is_sent_arrives_and_what_is_asked_for_is_given() {
    let Some(mut stage) = Stage::open() else { return };
    let endpoint = stage.text("endpoint").to_owned();
    let services =
        ["SNS", "SECURITYHUB", "SSM", "SECRETS_MANAGER", "STS"].map(|name| format!("AWS_ENDPOINT_URL_{name}"));
    let mut endpoints: Vec<(&str, &str)> = services.iter().map(|name| (name.as_str(), endpoint.as_str())).collect();
    endpoints.push(("AWS_ENDPOINT_URL", "http://127.0.0.1:1"));
    stage.play("publishes", "admin", &endpoints);
    stage.ask("guard");
    stage.play("imports_and_asks", "admin", &endpoints);

    let arrived = stage.ask("look");
    let (alert, parcel) = (alert(), parcel());
    for queue in ["alerts", "fifo"] {
        let [message] = &arrived[queue].as_array().unwrap()[..] else { panic!("{queue}: {arrived}") };
        let body = &message["body"];
        assert!(body["Subject"].as_str().unwrap().contains("Test: "), "{body}");
        assert!(body["Message"].as_str().unwrap().contains(&alert.event_id), "{body}");
        let attribute = |name: &str| body["MessageAttributes"][name]["Value"].as_str().unwrap_or_default().to_owned();
        assert_eq!(attribute("severity"), alert.severity.as_str().to_ascii_uppercase());
        assert_eq!(attribute("event_name"), alert.event_name.clone().unwrap());
        assert_eq!(attribute("account"), alert.account.clone().unwrap());
    }
    let fifo = &arrived["fifo"][0]["attributes"];
    assert_eq!(
        (&fifo["MessageGroupId"], &fifo["MessageDeduplicationId"]),
        (&json!("trailhound"), &json!(parcel.key()))
    );
    let [finding] = &arrived["findings"].as_array().unwrap()[..] else { panic!("{arrived}") };
    assert_eq!(finding["Id"], json!(format!("trailhound/{}", alert.id)));
    assert_eq!(finding["AwsAccountId"], json!(MOTO_ACCOUNT));
}

#[test]
#[ignore = "a process that another test starts"]
fn publishes() {
    let world = World::new();
    assert_eq!(world.publish(world.text("topic")), Verdict::Delivered);
    assert_eq!(world.publish(world.text("fifo")), Verdict::Delivered);
    // What somebody can mend is tried again.
    let put_off = |verdict: Verdict| match verdict {
        Verdict::Retry { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    let missing = world.text("topic").replace("alerts", "none");
    let reason = put_off(world.publish(&missing));
    assert!(reason.contains("NotFound"), "{reason}");
    // It is there, in another region than the ARN says.
    let reason = put_off(world.publish(&world.text("topic").replace("us-east-1", "eu-west-1")));
    assert!(reason.contains("NotFound"), "{reason}");
    let verdict = world.publish("arn:aws:sqs:us-east-1:123456789012:alerts");
    assert!(matches!(verdict, Verdict::Refused { ref reason } if reason.contains("no ARN of a topic")), "{verdict:?}");
}

#[test]
#[ignore = "a process that another test starts"]
fn imports_and_asks() {
    let world = World::new();
    // Sent once more, a finding is the same finding.
    assert_eq!(world.import(), Verdict::Delivered);
    assert_eq!(world.import(), Verdict::Delivered);
    assert_eq!(world.secret(world.text("text")).unwrap(), "xoxb-of-the-manager");
    assert_eq!(world.secret(world.text("parameter")).unwrap(), "xoxb-of-the-parameter");

    let reason = world.secret(&world.text("text").replace("us-east-1", "eu-west-1")).unwrap_err();
    assert!(reason.contains("ResourceNotFoundException"), "{reason}");
    let reason = world.secret(&world.text("parameter").replace("slack", "none")).unwrap_err();
    assert!(reason.contains("ParameterNotFound"), "{reason}");
    let reason = world.secret(world.text("binary")).unwrap_err();
    assert!(reason.contains("bytes and no text"), "{reason}");
}

#[test]
fn a_missing_permission_is_named() {
    let Some(mut stage) = Stage::open() else { return };
    let endpoint = stage.text("endpoint").to_owned();
    stage.ask("guard");
    stage.play("is_denied", "nobody", &[("AWS_ENDPOINT_URL", &endpoint)]);
    let wrong = (stage.account["admin"][0].as_str().unwrap(), "not-the-secret");
    run("is_not_known", &stage.account, wrong, &[("AWS_ENDPOINT_URL", &endpoint)]);
}

#[test]
#[ignore = "a process that another test starts"]
fn is_denied() {
    let world = World::new();
    let denied = |permission: &str, reason: &str| {
        assert!(reason.contains(&format!("access denied: {permission} is not allowed")), "{reason}");
        assert!(!reason.contains("xoxb"), "{reason}");
    };
    match world.import() {
        Verdict::Retry { reason, .. } => denied("securityhub:BatchImportFindings", &reason),
        other => panic!("{other:?}"),
    }
    denied("secretsmanager:GetSecretValue", &world.secret(world.text("text")).unwrap_err());
    denied("ssm:GetParameter", &world.secret(world.text("parameter")).unwrap_err());
}

/// That it is refused shows that the signatures of those that are not were looked at.
#[test]
#[ignore = "a process that another test starts"]
fn is_not_known() {
    let world = World::new();
    for arn in ["text", "parameter"] {
        let reason = world.secret(world.text(arn)).unwrap_err();
        assert!(!reason.contains("not-the-secret") && !reason.contains("xoxb"), "{reason}");
    }
}

#[test]
fn a_service_that_says_nothing_is_given_up_in_time() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    run("is_not_answered", &json!({}), ("AKID", "hush"), &[("AWS_ENDPOINT_URL", &endpoint)]);
}

#[test]
#[ignore = "a process that another test starts"]
fn is_not_answered() {
    let world = World::new();
    // A role would have to be assumed first, and nobody answers that either.
    let role = Role { arn: "arn:aws:iam::111122223333:role/hub".to_owned(), external_id: None };
    let hub = world.aws.assume(&role).unwrap().security_hub(Some("eu-west-1"));
    assert_eq!(hub.home(), ("111122223333".to_owned(), "eu-west-1".to_owned()));
    let topics = world.aws.topics();
    let start = Instant::now();
    for verdict in [topics.publish(&publication(), LIMIT), hub.import(&[json!({})], LIMIT)] {
        assert_eq!(verdict, Verdict::retry("no proper answer from the service: no answer in time"));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// What Amazon SNS and Security Hub say, in the form they say it (moto has one of its own).
#[test]
fn a_refusal_is_told_and_what_passes_is_tried_again() {
    let error = |code: &str, message: &str| {
        format!(
            r#"<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>
            <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"#
        )
    };
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", server.local_addr().unwrap());
    let answers = std::thread::spawn(move || {
        answer(&server, 403, &error("AuthorizationError", "User: mallory is not authorized to perform: SNS:Publish"));
        answer(&server, 400, &error("Throttled", "Rate exceeded"));
        answer(&server, 500, &error("InternalError", ""));
        answer(&server, 403, &error("ExpiredToken", "The security token is expired"));
        answer(&server, 400, &error("InvalidParameter", "Invalid parameter: TopicArn"));
        let identity = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account>\
                        <Arn>arn:aws:iam::111122223333:user/a</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>";
        answer(&server, 200, identity);
        answer(&server, 403, r#"{"Code": "AccessDeniedException", "Message": "no"}"#);
        answer(&server, 401, r#"{"Code": "InvalidAccessException", "Message": "not subscribed to Security Hub"}"#);
        answer(&server, 429, r#"{"Code": "LimitExceededException", "Message": "no"}"#);
    });
    run("is_refused", &json!({}), ("AKID", "hush"), &[("AWS_ENDPOINT_URL", &endpoint)]);
    answers.join().unwrap();
}

#[test]
#[ignore = "a process that another test starts"]
fn is_refused() {
    let aws = World::new().aws;
    let topics = aws.topics();
    let publish = || topics.publish(&publication(), LIMIT * 5);
    let said = "access denied: sns:Publish is not allowed (User: mallory is not authorized to perform: SNS:Publish)";
    assert_eq!(publish(), Verdict::retry(said));
    assert_eq!(publish(), Verdict::retry("the request was throttled"));
    assert!(matches!(publish(), Verdict::Retry { .. }));
    assert!(matches!(publish(), Verdict::Retry { .. }));
    assert_eq!(publish(), Verdict::refused("the service refused: InvalidParameter: Invalid parameter: TopicArn"));

    let hub = aws.own().unwrap().security_hub(None);
    assert_eq!(hub.home(), ("111122223333".to_owned(), "us-east-1".to_owned()));
    let import = || hub.import(&[json!({})], LIMIT * 5);
    assert_eq!(import(), Verdict::retry("access denied: securityhub:BatchImportFindings is not allowed (no)"));
    let said = "the service refused: InvalidAccessException: not subscribed to Security Hub";
    assert_eq!(import(), Verdict::retry(said));
    assert_eq!(import(), Verdict::retry("the request was throttled"));
}

/// An error of the service is waited out, and what it says instead of a secret is not repeated.
#[test]
fn a_secret_is_asked_for_again_when_the_service_stumbles() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", server.local_addr().unwrap());
    let answers = std::thread::spawn(move || {
        for (status, body) in
            [(500, "{}"), (400, r#"{"__type": "ThrottlingException"}"#), (200, r#"{"SecretString": "x"}"#)]
        {
            answer(&server, status, body);
        }
        answer(&server, 200, r#"{"SecretString": {"hunter2": 1}}"#);
    });
    run("asks_again", &json!({}), ("AKID", "hush"), &[("AWS_ENDPOINT_URL_SECRETS_MANAGER", &endpoint)]);
    answers.join().unwrap();
}

fn answer(server: &TcpListener, status: u16, body: &str) {
    let (mut connection, _) = server.accept().unwrap();
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let head: Vec<String> = reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let has = |name: &str, text: &str| {
        head.iter().any(|line| line.to_ascii_lowercase().starts_with(name) && line.contains(text))
    };
    assert!(has("user-agent: ", "trailhound") && has("authorization: ", "AWS4-HMAC-SHA256 "), "{head:?}");
    let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    // Closed with something unread, the connection would be reset.
    std::io::copy(&mut reader.take(length.unwrap_or(0)), &mut std::io::sink()).unwrap();
    let length = body.len();
    write!(connection, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
}

#[test]
#[ignore = "a process that another test starts"]
fn asks_again() {
    let secrets = World::new().aws.secrets();
    let arn = Arn::parse("arn:aws:secretsmanager:us-east-1:111122223333:secret:slack-AbCdEf").unwrap();
    assert_eq!(secrets.get(&arn).unwrap().expose(), "x");
    let reason = secrets.get(&arn).unwrap_err().to_string();
    assert!(reason.contains("not what it should be") && !reason.contains("hunter2"), "{reason}");
}
