//! The command line of AWS on this machine, so that a test can run it as a person would.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use crate::http::trails::Trail;
use crate::http::{Setup, serve};

const USAGE: &str =
    "usage: testkit cloudtrail --data DIR [--port N] [--unlimited] [--deny REGION]... [--token-life SECONDS]
       [--throttle SHARE] [--unavailable SHARE] [--cut SHARE] [--lose-token SHARE] [--seed N]
       [--keys FILE] [--keys-per-page N] [--trail ARN=BUCKET[/PREFIX]]... [--organization ID]

Answers CloudTrail's LookupEvents, DescribeTrails and ListPublicKeys, account's ListRegions, STS's AssumeRole and
GetCallerIdentity and Organizations' ListAccounts and DescribeOrganization from the logs in DIR, on 127.0.0.1. Files that
are added to DIR while it runs are picked up. FILE holds public keys as `aws cloudtrail list-public-keys` prints them.

usage: testkit s3 --data DIR --bucket NAME [--port N]

Serves DIR as a bucket, as it is when this starts, with the objects' metadata from DIR/metadata.jsonl.";

/// Does what the arguments behind the program's name say, as a rule for ever.
///
/// # Errors
/// What is wrong with them, or why nothing can be served.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    match arguments.next().as_deref() {
        Some("cloudtrail") => cloudtrail(arguments),
        Some("s3") => s3(arguments),
        _ => Err(USAGE.to_owned()),
    }
}

fn s3(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let (mut data, mut bucket, mut port) = (String::new(), String::new(), 0);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value\n\n{USAGE}"))?;
        match flag.as_str() {
            "--data" => data = value,
            "--bucket" => bucket = value,
            "--port" => port = number(&flag, &value)?,
            _ => return Err(format!("there is no flag {flag}\n\n{USAGE}")),
        }
    }
    if data.is_empty() || bucket.is_empty() {
        return Err(format!("--data or --bucket is missing\n\n{USAGE}"));
    }
    let (listener, address) = listen(port)?;
    let ready = || tell(&format!("AWS_ENDPOINT_URL_S3=http://{address}"));
    crate::http::s3::serve(&listener, Path::new(&data), &bucket, ready).map_err(|error| format!("{data}: {error}"))
}

fn listen(port: u16) -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}

fn cloudtrail(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let mut setup = Setup::default();
    let (mut port, mut organization) = (0, None);
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
            "--keys" => setup.public_keys = Some(value.into()),
            "--keys-per-page" => setup.keys_per_page = Some(number(&flag, &value)?),
            "--trail" => setup.trails.push(Trail::parse(&value).ok_or(format!("{flag} {value}: not ARN=BUCKET"))?),
            "--organization" => organization = Some(value),
            "--seed" => setup.faults.seed = number(&flag, &value)?,
            _ => return Err(format!("there is no flag {flag}\n\n{USAGE}")),
        }
    }
    if setup.data.as_os_str().is_empty() {
        return Err(format!("--data is missing\n\n{USAGE}"));
    }
    for trail in &mut setup.trails {
        trail.organization.clone_from(&organization);
    }
    let (listener, address) = listen(port)?;
    let folder = setup.data.display().to_string();
    tell(&format!("reading {folder}"));
    serve(&listener, setup, || tell(&format!("AWS_ENDPOINT_URL=http://{address}")))
        .map_err(|error| format!("{folder}: {error}"))
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value}: that is no number"))
}

#[expect(clippy::print_stderr, reason = "a program of its own, for developers")]
/// Says something to whoever started the program.
pub fn tell(message: &str) {
    eprintln!("{message}");
}
