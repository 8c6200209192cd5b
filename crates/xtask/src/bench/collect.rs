//! `cargo xtask bench-collect`: collecting live, from the testkit's CloudTrail and a queue on this machine.
//!
//! What is measured is ours: the history is served without its limit of two calls a second, and no network waits. The
//! testkit shares the processors with what is measured.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use sample::Plan;
use serde_json::{Value, json};

use super::measure::{self, Watched};
use super::verify::Service;
use super::{megabytes, remove_home, seconds};
use crate::python;
use crate::workspace::{Workspace, run_for_output, run_to_end, short_hash};

/// Days of the event history: what is older than 90 is gone, and the benchmark takes a while.
const DAYS: u32 = 88;
/// Regions of the pass with nothing new.
const REGIONS: usize = 30;
/// How long the daemon's first load may take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long one alert may take.
const ALERT: Duration = Duration::from_secs(60);
/// How often the daemon's home is asked how far it has come.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The sources that most of a trail's management events come from, beside the identity ones.
const SOURCES: &str = "['ec2', 's3', 'kms', 'lambda', 'dynamodb', 'logs', 'monitoring', 'ssm', 'rds', 'ecr', 'ecs', \
                       'secretsmanager', 'cloudtrail', 'config', 'elasticloadbalancing', 'autoscaling', 'cloudformation']";

/// Arguments of `cargo xtask bench-collect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Events of the organisation whose history is collected
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10_000..))]
    events: u64,
    /// Alerts whose way to a webhook is timed
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    alerts: u32,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE", requires = "testkit")]
    binary: Option<PathBuf>,
    /// The testkit's binary, where nothing is to be built
    #[arg(long, value_name = "FILE", requires = "binary")]
    testkit: Option<PathBuf>,
}

/// Measures and prints a table in Markdown.
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
    let folder = workspace.cache().join(format!("bench-collect-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let bench = Bench { binary, testkit, folder };
    let outcome = bench.measure(workspace, options, &interpreter);
    remove_home(&bench.folder)?;
    print!("{}", outcome?);
    Ok(())
}

struct Bench {
    binary: PathBuf,
    testkit: PathBuf,
    folder: PathBuf,
}

impl Bench {
    fn measure(&self, workspace: &Workspace, options: &Options, interpreter: &Path) -> anyhow::Result<String> {
        let (told, median, worst) = self.telling(workspace, options.alerts, interpreter)?;
        let (calls, idle) = self.nothing_new()?;

        let history = self.service(&history(workspace, options.events)?)?;
        let everything = format!(
            "[collect]\nsources = {SOURCES}\nmax_workers = 8\n[[accounts]]\norganization_role = 'trailhound'\n[run]\nevery_seconds = 1\n"
        );
        eprintln!("collect: a first load");
        let home = self.home("collect", &everything)?;
        let load = measure::run(self.command(&home, &history.endpoint).args(["collect"]), &[0])?;
        let stored = self.stored(&home)?;
        remove_home(&home)?;
        eprintln!("run: a first load");
        let home = self.home("run", &everything)?;
        let (daemon_load, daemon) = self.daemon(&home, &history.endpoint, stored)?;
        remove_home(&home)?;

        let rate = |wall: Duration| format!("{:.0} /s", stored as f64 / wall.as_secs_f64());
        let mut table = format!(
            "{stored} events of {DAYS} days in the event history of an organisation, without its limit of calls.\n\n"
        );
        table.push_str("| | wall time | CPU time | events | peak memory |\n|---|--:|--:|--:|--:|\n");
        for (name, wall, usage) in [("collect", load.wall, load), ("run, its first load", daemon_load, daemon)] {
            table.push_str(&format!(
                "| {name} | {} | {} | {} | {} |\n",
                seconds(wall),
                seconds(usage.cpu),
                rate(wall),
                megabytes(usage.peak_memory)
            ));
        }
        table.push_str(&format!(
            "\nA pass with nothing new over {REGIONS} regions: {calls} calls, {} of CPU time, {}.\n",
            seconds(idle.cpu),
            seconds(idle.wall)
        ));
        table.push_str(&format!(
            "\nFrom a message in the queue to the notifier's socket, {told} alerts: p50 {median:.0} ms, p99 {worst:.0} ms.\n"
        ));
        Ok(table)
    }

    /// A home with this configuration.
    fn home(&self, name: &str, configuration: &str) -> anyhow::Result<PathBuf> {
        let home = self.folder.join(name);
        fs::create_dir_all(&home).with_context(|| format!("failed to create {}", home.display()))?;
        fs::write(home.join("trailhound.toml"), configuration)
            .with_context(|| format!("failed to write into {}", home.display()))?;
        Ok(home)
    }

    fn command(&self, home: &Path, endpoint: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")])
            .envs([("AWS_ENDPOINT_URL", endpoint), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "us-east-1")])
            .env("TRAILHOUND_COLLECT_CALLS_PER_SECOND", "0")
            .arg("--home")
            .arg(home);
        command
    }

    fn service(&self, data: &Path) -> anyhow::Result<Service> {
        let mut command = Command::new(&self.testkit);
        Service::start(command.arg("cloudtrail").arg("--unlimited").arg("--data").arg(data))
    }

    fn status(&self, home: &Path) -> anyhow::Result<Value> {
        let mut command = self.command(home, "http://127.0.0.1:9");
        let output = command.args(["status", "--format", "json"]).output().context("failed to ask for the status")?;
        serde_json::from_slice(&output.stdout).context("the status is no JSON")
    }

    fn stored(&self, home: &Path) -> anyhow::Result<u64> {
        self.status(home)?["lake"]["events"].as_u64().context("the status does not say how many events there are")
    }

    /// What a second pass costs where nothing has happened.
    fn nothing_new(&self) -> anyhow::Result<(u64, measure::Usage)> {
        eprintln!("collect: nothing new in {REGIONS} regions");
        let data = self.folder.join("nothing");
        fs::create_dir_all(&data).with_context(|| format!("failed to create {}", data.display()))?;
        let records = json!({ "Records": [record("ListKeys", "kms", "own")?] });
        fs::write(data.join("own.json"), records.to_string()).context("failed to write the account's record")?;
        let service = self.service(&data)?;
        let regions: Vec<String> = ["us-east-1".to_owned()]
            .into_iter()
            .chain((1..REGIONS).map(|number| format!("xx-bench-{number}")))
            .map(|region| format!("'{region}'"))
            .collect();
        let home = self.home("idle", &format!("[collect]\nregions = [{}]\n", regions.join(", ")))?;
        let pass = || {
            let mut command = self.command(&home, &service.endpoint);
            command.args(["collect", "--summary", "json"]);
            command
        };
        run_for_output(&mut pass())?;
        let second: Value = serde_json::from_str(&run_for_output(&mut pass())?).context("the summary is no JSON")?;
        let streams = second["streams"].as_array().context("the summary has no streams")?;
        let calls = streams.iter().filter_map(|stream| stream["calls"].as_u64()).sum();
        ensure!(calls == streams.len() as u64, "{calls} calls for {} streams", streams.len());
        Ok((calls, measure::run(&mut pass(), &[0])?))
    }

    /// The daemon until it has stored so much and nothing is missing: how long that took, and what the process took.
    fn daemon(&self, home: &Path, endpoint: &str, stored: u64) -> anyhow::Result<(Duration, measure::Usage)> {
        let mut daemon = Watched::start(self.command(home, endpoint).args(["run", "--listen", "127.0.0.1:0"]))?;
        let began = Instant::now();
        let mut asked = began;
        loop {
            ensure!(daemon.look()?.is_none(), "the daemon has ended; run it by hand to see why");
            if asked.elapsed() > ASK_EVERY {
                asked = Instant::now();
                if self.stored(home).is_ok_and(|found| found >= stored) {
                    break;
                }
            }
            ensure!(began.elapsed() < PATIENCE, "the daemon has not read the history within an hour");
            thread::sleep(measure::LOOK_EVERY);
        }
        let took = began.elapsed();
        // What is left to do after the last commit counts for its memory.
        thread::sleep(Duration::from_secs(3));
        daemon.look()?;
        run_to_end(Command::new("kill").args(["-TERM", &daemon.id().to_string()]))?;
        Ok((took, daemon.wait(&[0])?))
    }

    /// How long alerts are under way, in milliseconds: their number, the median, and what 99 of 100 stay under.
    fn telling(&self, workspace: &Workspace, alerts: u32, interpreter: &Path) -> anyhow::Result<(usize, f64, f64)> {
        eprintln!("run: {alerts} alerts through a queue");
        let mut queue = Queue::start(workspace, interpreter)?;
        let (hook, arrivals) = hook()?;
        let home = self.home(
            "telling",
            &format!(
                "[collect]\nown_account = false\n[[trails]]\nbucket = 'our-trail'\nprefix = 'logs'\nqueue = '{}'\n\
                 [[notify]]\nname = 'hook'\nkind = 'webhook'\nurl = '{hook}'\nrate_limit = {{ messages = 0 }}\n",
                queue.name
            ),
        )?;
        let mut daemon = Watched::start(self.command(&home, &queue.endpoint).args(["run", "--listen", "127.0.0.1:0"]))?;
        let mut waits = Vec::new();
        for number in 0..=alerts {
            let file = self.folder.join(format!("{number}.json"));
            let records = json!({ "Records": [record("CreateAccessKey", "iam", &number.to_string())?] });
            fs::write(&file, records.to_string()).with_context(|| format!("failed to write {}", file.display()))?;
            let sent = queue.put(&file)?;
            let Ok(arrived) = arrivals.recv_timeout(ALERT) else {
                bail!("an alert did not arrive within a minute");
            };
            daemon.look()?;
            // The first one waits for the daemon to start.
            if number > 0 {
                waits.push((arrived - sent) * 1e3);
            }
        }
        drop(daemon);
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits[((waits.len() as f64 * share) as usize).min(waits.len() - 1)];
        Ok((waits.len(), at(0.5), at(0.99)))
    }
}

/// A record of this moment.
fn record(name: &str, source: &str, id: &str) -> anyhow::Result<Value> {
    let time = Timestamp::from_second(now().as_second())?.to_string();
    Ok(json!({
        "eventVersion": "1.11", "eventTime": time, "eventName": name, "eventSource": format!("{source}.amazonaws.com"),
        "awsRegion": "us-east-1", "eventID": format!("bench-{name}-{id}"), "eventType": "AwsApiCall",
        "eventCategory": "Management", "managementEvent": true, "readOnly": false,
        "recipientAccountId": "111122223333", "sourceIPAddress": "203.0.113.7", "userAgent": "bench",
        "requestParameters": {"userName": "bob"}, "responseElements": null,
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/alice",
            "accountId": "111122223333", "userName": "alice",
        },
    }))
}

#[expect(clippy::disallowed_methods, reason = "an event history ends now, whatever day it is")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// A history that ends today; yesterday's is thrown away.
fn history(workspace: &Workspace, events: u64) -> anyhow::Result<PathBuf> {
    let today = Timestamp::from_second(now().as_second() / 86_400 * 86_400)?;
    let until = today - SignedDuration::from_hours(1);
    let plan = Plan { days: DAYS, events, files: (events / 500).max(2_000), stories: false, ..Plan::corpus(until) };
    let folder = workspace.cache().join(format!("history-{}", short_hash(&[format!("{plan:?}").as_bytes()])));
    if folder.is_dir() {
        return Ok(folder);
    }
    for entry in fs::read_dir(workspace.cache())? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("history-")) {
            remove_home(&path)?;
        }
    }
    eprintln!("generating a history of {events} events under {}", folder.display());
    // Renamed when it is whole.
    let partial = folder.with_extension(format!("{}.partial", std::process::id()));
    plan.write(&partial, |_| {}).context("failed to generate the history")?;
    fs::rename(&partial, &folder).with_context(|| format!("failed to move {} into place", partial.display()))?;
    Ok(folder)
}

/// A trail's bucket and queue, played by moto.
struct Queue {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    endpoint: String,
    name: String,
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Queue {
    fn start(workspace: &Workspace, interpreter: &Path) -> anyhow::Result<Queue> {
        let mut command = Command::new(interpreter);
        command.arg(workspace.root().join("crates/cli/tests/trail.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("failed to start the queue")?;
        let input = child.stdin.take().context("the queue's input is piped")?;
        let output = BufReader::new(child.stdout.take().context("the queue's output is piped")?);
        let mut queue = Queue { child, input, output, endpoint: String::new(), name: String::new() };
        let about: Value = serde_json::from_str(&queue.line()?).context("the queue did not say where it is")?;
        let text =
            |key: &str| about[key].as_str().map(str::to_owned).with_context(|| format!("the queue has no {key}"));
        (queue.endpoint, queue.name) = (text("endpoint")?, text("queue")?);
        Ok(queue)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }

    /// Delivers a log file. Returns when its message was in the queue, in seconds since 1970.
    fn put(&mut self, file: &Path) -> anyhow::Result<f64> {
        writeln!(self.input, "{}", file.display())?;
        self.line()?.trim().parse().context("the queue did not say when")
    }
}

/// A webhook: its address, and when messages arrive there, in seconds since 1970.
fn hook() -> anyhow::Result<(String, Receiver<f64>)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("failed to listen")?;
    let address = format!("http://{}/hook", listener.local_addr()?);
    let (arrived, arrivals) = sync_channel(64);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let at = now().as_microsecond() as f64 / 1e6;
            if answer(&connection).is_some() && arrived.send(at).is_err() {
                return;
            }
        }
    });
    Ok((address, arrivals))
}

fn answer(mut connection: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().ok()?;
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()
}
