//! Where credentials come from, each as a machine that has no other: the real binary, and what it asks on the way.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::live::{Live, record};
use crate::support::Ran;

/// A key whose account the testkit's services can tell.
const KEY: &str = "ASIA111122223333";

/// A server on this machine that gives credentials: an instance's metadata, a container's, or the portal of Identity
/// Center.
struct Giver {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Giver {
    fn new() -> Giver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        // It ends with the test program.
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || give(&connection, &noted));
            }
        });
        Giver { address, asked }
    }

    fn was_asked_for(&self, wanted: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|line| line.starts_with(wanted))
    }
}

/// Answers one request: the connection is closed after it.
fn give(connection: &TcpStream, noted: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let Some(line) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let has = |header: &str| headers.iter().any(|known| known.starts_with(header));
    noted.lock().unwrap().push(line.clone());
    let until = "2099-01-01T00:00:00Z";
    let keys = json!({
        "Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": KEY,
        "SecretAccessKey": "secret", "Token": "session", "Expiration": until,
    });
    let (status, body) = match line.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["PUT", "/latest/api/token"] => (200, "a-token-of-the-instance".to_owned()),
        // The second version of the protocol asks with a token.
        ["GET", path] if path.starts_with("/latest/meta-data/iam/security-credentials") => {
            match (has("x-aws-ec2-metadata-token: a-token-of-the-instance"), path.ends_with("/a-role")) {
                (false, _) => (401, String::new()),
                (true, false) => (200, "a-role".to_owned()),
                (true, true) => (200, keys.to_string()),
            }
        }
        ["GET", "/container"] if has("authorization: of-the-task") => (200, keys.to_string()),
        ["GET", path]
            if path.starts_with("/federation/credentials?") && has("x-amz-sso_bearer_token: of-the-portal") =>
        {
            let keys = json!({
                "accessKeyId": KEY, "secretAccessKey": "secret", "sessionToken": "session",
                "expiration": 4_070_908_800_000_i64,
            });
            (200, json!({ "roleCredentials": keys }).to_string())
        }
        _ => (404, String::new()),
    };
    let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 21600";
    let length = body.len();
    let head = format!("HTTP/1.1 {status} OK\r\n{ttl}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let mut connection = connection;
    // Who asked may have gone.
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body.as_bytes()));
}

/// The service with one event to collect, and the command that collects it without credentials.
fn bare(live: &Live) -> Command {
    let mut command = live.command();
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    // Whoever runs the tests may have a configuration.
    command.env("HOME", live.world.path("nobody")).args(["collect", "--summary", "json"]);
    command
}

fn live() -> Live {
    Live::with(|_| (), &[record("CreateUser", "iam", "us-east-1", 60, "1")])
}

fn assert_collected(live: &Live, command: &mut Command) {
    let ran = Ran(command.output().unwrap()).code(0);
    assert!(!ran.stderr().contains("secret"), "{}", ran.stderr());
    assert_eq!(live.ids(), BTreeSet::from(["CreateUser-1".to_owned()]));
}

#[test]
fn an_instance_has_those_of_its_role() {
    let (live, giver) = (live(), Giver::new());
    let mut command = bare(&live);
    command.env_remove("AWS_EC2_METADATA_DISABLED");
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{}", giver.address));
    assert_collected(&live, &mut command);
    assert!(giver.was_asked_for("PUT /latest/api/token"));
    assert!(giver.was_asked_for("GET /latest/meta-data/iam/security-credentials/a-role"));
}

#[test]
fn a_container_has_those_of_its_task() {
    let (live, giver) = (live(), Giver::new());
    let mut command = bare(&live);
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/container", giver.address));
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-task");
    assert_collected(&live, &mut command);
    assert!(giver.was_asked_for("GET /container"));
}

#[test]
fn a_pod_has_those_of_its_web_identity() {
    let live = live();
    let token = live.world.file("token", "a.web.identity");
    let mut command = bare(&live);
    command.env("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    command.env("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/trailhound");
    assert_collected(&live, &mut command);
}

#[test]
fn who_has_signed_in_to_identity_center_has_those_of_the_profile() {
    let (live, giver) = (live(), Giver::new());
    let config = "[profile audit]\nsso_session = trailhound\nsso_account_id = 111122223333\nsso_role_name = Audit\n\
                  [sso-session trailhound]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n";
    let config = live.world.file("config", config);
    // What `aws sso login` leaves; its name is the SHA-1 of the session's.
    let token = json!({
        "accessToken": "of-the-portal", "expiresAt": "2099-01-01T00:00:00Z", "region": "us-east-1",
        "startUrl": "https://example.awsapps.com/start",
    });
    let place = "nobody/.aws/sso/cache/42141e4e73f3fbd6395f03fba15590a748191f0e.json";
    live.world.file(place, token.to_string());
    let mut command = bare(&live);
    command.env("AWS_CONFIG_FILE", config).env("AWS_PROFILE", "audit");
    command.env("AWS_ENDPOINT_URL_SSO", format!("http://{}", giver.address));
    assert_collected(&live, &mut command);
    assert!(giver.was_asked_for("GET /federation/credentials?"));
    // Who has not is told what to do.
    std::fs::remove_file(live.world.path(place)).unwrap();
    let mut command = bare(&live);
    command.env("AWS_CONFIG_FILE", live.world.path("config")).env("AWS_PROFILE", "audit");
    let told = Ran(command.output().unwrap()).code(4).stderr();
    assert!(told.contains("the credentials are not accepted: ") && told.contains("aws sso login"), "{told}");
}

#[test]
fn a_profile_names_a_role_a_source_or_a_program() {
    let live = live();
    let keys = json!({ "Version": 1, "AccessKeyId": KEY, "SecretAccessKey": "secret", "SessionToken": "session" });
    let program = live.world.file("keys.json", keys.to_string());
    let config = format!(
        "[profile base]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = secret\n\
         [profile audit]\nsource_profile = base\nrole_arn = arn:aws:iam::111122223333:role/audit\nexternal_id = hush\n\
         [profile program]\ncredential_process = cat {}\n",
        program.display()
    );
    let config = live.world.file("config", config);
    for profile in ["base", "audit", "program"] {
        let mut command = bare(&live);
        command.env("AWS_CONFIG_FILE", &config).env("AWS_PROFILE", profile);
        assert_collected(&live, &mut command);
    }
    // Also by the configuration, whatever the environment says.
    live.configure("[aws]\nprofile = 'audit'\n");
    let mut command = bare(&live);
    command.env("AWS_CONFIG_FILE", &config).env("AWS_PROFILE", "nonsense");
    assert_collected(&live, &mut command);
}

/// The other partitions: their own regions, their own global one.
#[test]
fn govcloud_and_china_are_read_in_their_own_regions() {
    for (partition, global, second) in
        [("aws-us-gov", "us-gov-west-1", "us-gov-east-1"), ("aws-cn", "cn-north-1", "cn-northwest-1")]
    {
        let records = [
            record("CreateUser", "iam", global, 60, "1"),
            record("AssumeRole", "sts", second, 70, "2"),
            // Of a partition that these credentials do not see.
            record("AssumeRole", "sts", "us-east-1", 70, "elsewhere"),
        ];
        let live = Live::with(|_| (), &records);
        let mut command = live.command();
        let ran = command.env("AWS_REGION", second).args(["collect", "--summary", "json"]).output().unwrap();
        let ran = Ran(ran).code(0);
        assert_eq!(live.ids(), BTreeSet::from(["CreateUser-1".to_owned(), "AssumeRole-2".to_owned()]));
        let report: Value = serde_json::from_str(&ran.stdout()).unwrap();
        let streams: BTreeSet<&str> =
            report["streams"].as_array().unwrap().iter().filter_map(|stream| stream["stream"].as_str()).collect();
        let of = |source: &str| -> BTreeSet<&str> {
            let wanted = format!("/{source}.amazonaws.com");
            let regions = streams.iter().filter_map(|stream| stream.strip_suffix(&wanted)?.rsplit('/').next());
            regions.collect()
        };
        assert_eq!(of("iam"), BTreeSet::from([global]), "{partition}: {streams:?}");
        assert_eq!(of("sts"), BTreeSet::from([global, second]), "{partition}: {streams:?}");
    }
}
