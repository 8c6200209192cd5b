//! `cargo xtask bench-verify`: `trailhound verify` against the AWS CLI's `validate-logs`, on the same bucket in one run.
//!
//! Then a local copy of it, against gunzip and SHA-256 of every file by as many threads.
//!
//! The bucket is a generated, signed trail of one account, served by the testkit on this machine: no network waits, which
//! is in favour of the side that asks one thing after the other. The AWS CLI knows one region a call, so that it is
//! called once for each, as its users call it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use sample::{Plan, Signing};

use super::measure::{self, Usage};
use super::{megabytes, seconds};
use crate::workspace::{Workspace, run_to_end, short_hash};
use crate::{corpus, python};

/// How often ours, a local copy and its floor are run: seconds, in which much else may happen. The AWS CLI takes half a
/// minute and is run once.
const RUNS: usize = 5;

/// Arguments of `cargo xtask bench-verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Days of the trail
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(7..))]
    days: u32,
    /// Regions with digests
    #[arg(long, default_value_t = 17, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=17))]
    regions: u32,
    /// Events of the organisation, of which the account has about half
    #[arg(long, default_value_t = 120_000, value_name = "N")]
    events: u64,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE", requires = "testkit")]
    binary: Option<PathBuf>,
    /// The testkit's binary, where nothing is to be built
    #[arg(long, value_name = "FILE", requires = "binary")]
    testkit: Option<PathBuf>,
}

/// A service of the testkit's; ends with it.
pub(super) struct Service {
    child: Child,
    pub(super) endpoint: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    /// Starts one and waits until it says where it answers.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Service> {
        let mut child = command.stderr(Stdio::piped()).spawn().context("failed to start the testkit")?;
        let output = child.stderr.take().context("the testkit's output is piped")?;
        for line in BufReader::new(output).lines() {
            if let Some((_, endpoint)) = line?.split_once("=http://") {
                return Ok(Service { child, endpoint: format!("http://{endpoint}") });
            }
        }
        anyhow::bail!("the testkit ended before it answered")
    }
}

/// Measures both sides and prints a table in Markdown.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    ensure!(cfg!(target_os = "linux"), "the benchmark reads /proc: it runs on Linux only");
    let interpreter = python::interpreter(workspace, python::READERS)?;
    let (binary, testkit) = match (&options.binary, &options.testkit) {
        (Some(binary), Some(testkit)) => (binary.clone(), testkit.clone()),
        _ => {
            let packages = ["--package", "cli", "--package", "testkit"];
            run_to_end(workspace.cargo().args(["build", "--release", "--locked"]).args(packages))?;
            let release = workspace.target().join("release");
            (release.join("trailhound"), release.join("testkit"))
        }
    };
    let trail = Trail::cached(workspace, options)?;
    let empty = workspace.cache().join("bench-verify-no-history");
    fs::create_dir_all(&empty).with_context(|| format!("failed to create {}", empty.display()))?;
    let mut s3 = Command::new(&testkit);
    let s3 = Service::start(s3.arg("s3").arg("--data").arg(&trail.folder).args(["--bucket", &trail.signing.bucket]))?;
    let arn = format!("arn:aws:cloudtrail:us-east-1:{}:trail/{}", trail.account, trail.signing.trail);
    let mut cloudtrail = Command::new(&testkit);
    cloudtrail.arg("cloudtrail").arg("--data").arg(&empty).arg("--keys").arg(trail.folder.join("public-keys.json"));
    let cloudtrail = Service::start(cloudtrail.args(["--trail", &format!("{arn}={}", trail.signing.bucket)]))?;
    let prepare = |mut command: Command| {
        command
            .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
            .envs([("AWS_ENDPOINT_URL_S3", &s3.endpoint), ("AWS_ENDPOINT_URL_CLOUDTRAIL", &cloudtrail.endpoint)])
            .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "us-east-1")]);
        command
    };

    let home = workspace.cache().join(format!("bench-verify-home-{}", std::process::id()));
    let until = trail.signing.until.to_string();
    let mut runs = Vec::new();
    for number in 1..=RUNS {
        eprintln!("trailhound verify, run {number} of {RUNS}");
        let mut ours = prepare(Command::new(&binary));
        // The trail ends there, and nothing is missing behind it.
        ours.arg("--home")
            .arg(&home)
            .args(["--now", &until])
            .arg("verify")
            .arg(format!("s3://{}", trail.signing.bucket));
        let ours = measure::run(&mut ours, &[0]);
        super::remove_home(&home)?;
        runs.push(ours?);
    }
    let ours = super::median(runs);

    let mut theirs = Usage { wall: Duration::ZERO, cpu: Duration::ZERO, peak_memory: 0 };
    for (number, region) in trail.regions.iter().enumerate() {
        eprintln!("aws cloudtrail validate-logs, region {} of {}", number + 1, trail.regions.len());
        let mut command = prepare(Command::new(&interpreter));
        command.args(["-m", "awscli", "cloudtrail", "validate-logs", "--region", region, "--trail-arn", &arn]);
        command.args(["--start-time", &trail.from, "--end-time", &until]);
        let usage = measure::run(&mut command, &[0])?;
        theirs.wall += usage.wall;
        theirs.cpu += usage.cpu;
        theirs.peak_memory = theirs.peak_memory.max(usage.peak_memory);
    }
    println!(
        "{} days × {} regions of one account: {} digests, {} log files, a bucket on this machine; ours the median of {RUNS} \
         runs.\n",
        options.days, options.regions, trail.digests, trail.logs
    );
    println!("| | aws cloudtrail validate-logs | trailhound verify | times as fast |\n|---|---|---|---|");
    for (name, theirs, ours) in [("wall time", theirs.wall, ours.wall), ("CPU time", theirs.cpu, ours.cpu)] {
        let times = theirs.as_secs_f64() / ours.as_secs_f64();
        println!("| {name} | {} | {} | {times:.1} |", seconds(theirs), seconds(ours));
    }
    println!("| peak memory | {} | {} | |", megabytes(theirs.peak_memory), megabytes(ours.peak_memory));
    local(workspace, &binary, &trail, &until)
}

/// A local copy against the floor, in turns.
fn local(workspace: &Workspace, binary: &Path, trail: &Trail, until: &str) -> anyhow::Result<()> {
    let home = workspace.cache().join(format!("bench-verify-home-{}", std::process::id()));
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let mut floor = Command::new(std::env::current_exe().context("failed to find this program")?);
        floors.push(measure::run(floor.arg("floor").arg(trail.folder.join("AWSLogs")).arg("--hashes"), &[0])?);
        let mut verify = Command::new(binary);
        verify.arg("--home").arg(&home).args(["--now", until]).arg("verify").arg(&trail.folder);
        ours.push(measure::run(verify.arg("--keys").arg(trail.folder.join("public-keys.json")), &[0])?);
        super::remove_home(&home)?;
    }
    let (floor, ours) = (super::median(floors), super::median(ours));
    println!("\nA local copy, the median of {RUNS} runs.\n");
    println!("| | gunzip + SHA-256 | trailhound verify | times the floor |\n|---|---|---|---|");
    for (name, floor, ours) in [("wall time", floor.wall, ours.wall), ("CPU time", floor.cpu, ours.cpu)] {
        let times = ours.as_secs_f64() / floor.as_secs_f64();
        println!("| {name} | {} | {} | {times:.2} |", seconds(floor), seconds(ours));
    }
    println!("| peak memory | {} | {} | |", megabytes(floor.peak_memory), megabytes(ours.peak_memory));
    Ok(())
}

/// The trail that is validated.
struct Trail {
    folder: PathBuf,
    account: String,
    signing: Signing,
    regions: Vec<&'static str>,
    from: String,
    digests: usize,
    logs: usize,
}

impl Trail {
    /// Generates the trail unless that was done before.
    fn cached(workspace: &Workspace, options: &Options) -> anyhow::Result<Trail> {
        let regions: Vec<&'static str> = sample::REGIONS.iter().copied().take(options.regions as usize).collect();
        let until = corpus::end()?;
        let from = until - jiff::SignedDuration::from_hours(24 * i64::from(options.days));
        let mut signing = Signing::organisation(until);
        signing.from = Some(from);
        signing.quiet_regions = regions.iter().map(|&region| region.to_owned()).collect();
        let plan = Plan {
            days: options.days,
            events: options.events,
            files: (options.events / 30).max(100),
            stories: false,
            ..Plan::corpus(until)
        };
        let version = short_hash(&[format!("{plan:?}{signing:?}").as_bytes()]);
        let folder = workspace.cache().join(format!("signed-{version}"));
        if !folder.is_dir() {
            // Renamed when it is whole.
            let partial = folder.with_extension(format!("{}.partial", std::process::id()));
            generate(&plan, &signing, &regions, &partial)?;
            fs::rename(&partial, &folder)
                .with_context(|| format!("failed to move {} into place", partial.display()))?;
        }
        let mut files = Vec::new();
        files_below(&folder, &mut files)?;
        let count = |part: &str| files.iter().filter(|file| file.to_string_lossy().contains(part)).count();
        let account = only_folder(&folder.join("AWSLogs"))?;
        let (digests, logs) = (count("/CloudTrail-Digest/"), count("/CloudTrail/"));
        Ok(Trail { folder, account, signing, regions, from: from.to_string(), digests, logs })
    }
}

/// Writes an organisation's trail, keeps the account with the most traffic, and signs that.
fn generate(plan: &Plan, signing: &Signing, regions: &[&str], folder: &Path) -> anyhow::Result<()> {
    eprintln!("generating a signed trail under {}", folder.display());
    let whole = folder.with_extension("organisation");
    let trail = plan.write(&whole, |_| {}).context("failed to generate the trail")?.trail;
    let accounts = trail.join(only_folder(&trail)?);
    let mut busiest = (0, PathBuf::new());
    for entry in fs::read_dir(&accounts)? {
        let account = entry?.path();
        let mut files = Vec::new();
        files_below(&account, &mut files)?;
        busiest = busiest.max((files.len(), account));
    }
    let account = busiest.1.file_name().context("an account has a folder")?;
    let to = folder.join("AWSLogs").join(account).join("CloudTrail");
    fs::create_dir_all(&to)?;
    for region in regions {
        let from = busiest.1.join("CloudTrail").join(region);
        if from.is_dir() {
            fs::rename(from, to.join(region))?;
        }
    }
    super::remove_home(&whole)?;
    signing.sign(folder).context("failed to sign the trail")?;
    Ok(())
}

fn only_folder(folder: &Path) -> anyhow::Result<String> {
    let mut entries = fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let first = entries.next().with_context(|| format!("{} is empty", folder.display()))??;
    Ok(first.file_name().to_string_lossy().into_owned())
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { files_below(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
