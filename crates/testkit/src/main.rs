//! AWS on this machine, for trying things out: `cargo run -p testkit -- cloudtrail --data DIR --port N`.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use testkit::http::{Setup, serve};

const USAGE: &str =
    "usage: testkit cloudtrail --data DIR [--port N] [--unlimited] [--deny REGION]... [--token-life SECONDS]
       [--throttle SHARE] [--unavailable SHARE] [--cut SHARE] [--lose-token SHARE] [--seed N]

Answers CloudTrail's LookupEvents, account's ListRegions, STS's AssumeRole and GetCallerIdentity and Organizations'
ListAccounts from the logs in DIR, on 127.0.0.1. Files that are added to DIR while it runs are picked up.";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tell(&message);
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    if arguments.next().as_deref() != Some("cloudtrail") {
        return Err(USAGE.to_owned());
    }
    let mut setup = Setup::default();
    let mut port = 0;
    while let Some(flag) = arguments.next() {
        if flag == "--unlimited" {
            setup.unlimited = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value\n\n{USAGE}"))?;
        match flag.as_str() {
            "--data" => setup.data = value.into(),
            "--port" => port = number(&flag, &value)?,
            "--deny" => setup.denied.push(value),
            "--token-life" => setup.token_life = Some(Duration::from_secs(number(&flag, &value)?)),
            "--throttle" => setup.faults.throttled = number(&flag, &value)?,
            "--unavailable" => setup.faults.unavailable = number(&flag, &value)?,
            "--cut" => setup.faults.cut = number(&flag, &value)?,
            "--lose-token" => setup.faults.token_lost = number(&flag, &value)?,
            "--seed" => setup.faults.seed = number(&flag, &value)?,
            _ => return Err(format!("there is no flag {flag}\n\n{USAGE}")),
        }
    }
    if setup.data.as_os_str().is_empty() {
        return Err(format!("--data is missing\n\n{USAGE}"));
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let folder = setup.data.display().to_string();
    tell(&format!("reading {folder}"));
    serve(&listener, setup, || tell(&format!("AWS_ENDPOINT_URL=http://{address}")))
        .map_err(|error| format!("{folder}: {error}"))
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value}: that is no number"))
}

#[expect(clippy::print_stderr, reason = "a program of its own, for developers")]
fn tell(message: &str) {
    eprintln!("{message}");
}
