//! What a process took: time on the wall and on the CPUs, and memory at its peak, as the kernel counted them.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// The kernel reports CPU time to user space in hundredths of a second on every platform Linux runs on.
const TICKS_PER_SECOND: u64 = 100;
/// What the process does between the last look and its end is missed, so look often.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    /// User and system time of all threads.
    pub(crate) cpu: Duration,
    /// Most resident memory at any moment, in bytes.
    pub(crate) peak_memory: u64,
}

/// Runs a process to its end, watching it; an exit code that is not accepted is an error.
pub(crate) fn run(command: &mut Command, accepted: &[i32]) -> anyhow::Result<Usage> {
    Watched::start(command)?.wait(accepted)
}

/// A process that is watched through `/proc`: the peak there is the kernel's own high-water mark, and a process that has
/// ended keeps its CPU time until it is waited for. Ends with this.
#[derive(Debug)]
pub(crate) struct Watched {
    program: String,
    child: Child,
    started: Instant,
    usage: Usage,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watched {
    /// Starts it; what it says is thrown away.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Watched> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("failed to start {program}"))?;
        let usage = Usage { wall: Duration::ZERO, cpu: Duration::ZERO, peak_memory: 0 };
        Ok(Watched { program, child, started, usage })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Looks what it has taken so far. Returns how it ended, if it has.
    pub(crate) fn look(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).ok();
        if let Some(bytes) = read("status").as_deref().and_then(high_water_mark) {
            self.usage.peak_memory = bytes;
        }
        if let Some(time) = read("stat").as_deref().and_then(cpu_time) {
            self.usage.cpu = time;
        }
        let status = self.child.try_wait().with_context(|| format!("failed to wait for {}", self.program))?;
        self.usage.wall = self.started.elapsed();
        Ok(status)
    }

    /// Watches it to its end.
    pub(crate) fn wait(mut self, accepted: &[i32]) -> anyhow::Result<Usage> {
        let status = loop {
            if let Some(status) = self.look()? {
                break status;
            }
            thread::sleep(LOOK_EVERY);
        };
        let Watched { program, usage, .. } = &self;
        let done = status.code().is_some_and(|code| accepted.contains(&code));
        ensure!(done, "{program} ended with {status}; run it by hand to see why");
        ensure!(usage.peak_memory > 0, "{program} ended before it could be measured: use more data");
        Ok(*usage)
    }
}

/// `VmHWM` of `/proc/PID/status`, in bytes.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// `utime` and `stime` of `/proc/PID/stat`: proc(5) numbers them 14 and 15, the program's name in brackets being 2.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_figures() {
        let status = "Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t    1024 kB\nVmRSS:\t 10 kB\n";
        assert_eq!(high_water_mark(status), Some(1_048_576));
        assert_eq!(high_water_mark("Name:\tx\n"), None);

        // A name with a bracket and blanks must not shift the fields.
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1 0";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_time("7 (a) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn measures_a_process_and_judges_its_exit_code() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let usage = run(&mut shell("sleep 0.1; exit 3"), &[0, 3]).expect("3 is accepted");
        assert!(usage.wall >= Duration::from_millis(100));
        assert!(usage.peak_memory > 0);
        assert!(run(&mut shell("exit 1"), &[0]).is_err());
    }
}
