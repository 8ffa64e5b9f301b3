//! A running daemon: its log, its costs as `/proc` counts them, and signals.
//!
//! Signals go through `kill(1)`: the crate needs no unsafe code for them, and a test sends few.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use crate::wait::wait_some;
use crate::{Error, Result, fail};

/// `/proc` counts CPU time in these (`USER_HZ`, the same on every Linux architecture that Debian has).
const TICKS_PER_SECOND: f64 = 100.0;

/// A child that writes its output to a log, and is killed when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Daemon {
    /// Starts `command` with both outputs appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not started.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Daemon> {
        Daemon::launch(name, command.stdin(Stdio::null()), log)
    }

    /// The same for a program that takes commands on its standard input.
    ///
    /// # Errors
    /// As [`Daemon::spawn`].
    pub fn spawn_with_input(name: &str, command: &mut Command, log: &Path) -> Result<(Daemon, ChildStdin)> {
        let mut daemon = Daemon::launch(name, command.stdin(Stdio::piped()), log)?;
        let input = daemon.child.stdin.take().ok_or_else(|| Error::new("no pipe to a child"))?;
        Ok((daemon, input))
    }

    fn launch(name: &str, command: &mut Command, log: &Path) -> Result<Daemon> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .map_err(|e| Error::from(e).during(format!("starting {name}")))?;
        Ok(Daemon { child, log: log.to_owned(), name: name.to_owned() })
    }

    /// Its process number. `ip netns exec` and `setpriv` become the program, so it is the program's own.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the kernel does not know the child any more.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails, with the end of its log, when the daemon is no longer there.
    ///
    /// # Errors
    /// When it has ended.
    pub fn check_alive(&mut self) -> Result {
        match self.ended()? {
            None => Ok(()),
            Some(status) => {
                let end = last_lines(&self.log(), 15);
                Err(Error::last(format!("{} ended ({status}):\n{end}", self.name)))
            }
        }
    }

    /// Sends a signal by name, for example `HUP`.
    ///
    /// # Errors
    /// When `kill` fails.
    pub fn signal(&self, name: &str) -> Result {
        run(Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string())).map(drop)
    }

    /// Stops it in its tracks (SIGSTOP): its sockets stay, nothing answers.
    ///
    /// # Errors
    /// As [`Daemon::signal`].
    pub fn freeze(&self) -> Result {
        self.signal("STOP")
    }

    /// Lets it go on after [`Daemon::freeze`].
    ///
    /// # Errors
    /// As [`Daemon::signal`].
    pub fn thaw(&self) -> Result {
        self.signal("CONT")
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait(limit)
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_some(&what, limit, || self.ended())
    }

    /// SIGKILL: the end without goodbye.
    pub fn kill(&mut self) {
        // A child that is gone already is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// User and system CPU seconds of all its threads, to a hundredth.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // The second field is the name in parentheses and may hold blanks; utime and stime are 14 and 15.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = rest.split_whitespace().skip(11);
        let mut tick = || -> Result<f64> {
            let text = fields.next().ok_or_else(|| Error::new("a short /proc/PID/stat"))?;
            Ok(text.parse::<u32>().map(f64::from)?)
        };
        Ok((tick()? + tick()?) / TICKS_PER_SECOND)
    }

    /// The most memory it ever held resident, in KiB (`VmHWM`).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn peak_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let number = line.and_then(|l| l.split_whitespace().next());
        Ok(number.ok_or_else(|| Error::new("no VmHWM in /proc"))?.parse()?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last `count` lines of a text.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// When it cannot start or ends with another status than 0; its standard error is in the message.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    fail(format!(
        "{command:?} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end(),
        last_lines(&String::from_utf8_lossy(&output.stdout), 5)
    ))
}

/// Runs a command to its end, whatever its status.
///
/// # Errors
/// When it cannot start.
pub fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().map_err(|e| Error::from(e).during(format!("starting {command:?}")))
}
