//! A lab: network namespaces of one test, the links between them, and a folder for configurations and logs.
//!
//! Every lab has names of its own, so tests run side by side. When a lab is dropped, whatever still runs in
//! its namespaces is killed and the namespaces are deleted, on success and on failure alike; after a failure
//! the folder stays and the ends of all logs are printed. A lab whose process was killed outright is swept up
//! by the next lab that starts.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::install::ensure_installed;
use crate::process::{last_lines, run};
use crate::{Error, Result};

/// What every namespace's name starts with; the process number of its maker follows.
const MARK: &str = "skl";

/// Numbers the labs of this process.
static LABS: AtomicU32 = AtomicU32::new(0);

/// Deletion of dead labs happens once at a time in a process.
static SWEEP: Mutex<()> = Mutex::new(());

/// The folders of the labs of this process that still stand.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The namespaces and files of one test.
#[derive(Debug)]
pub struct Lab {
    name: String,
    prefix: String,
    dir: Option<TempDir>,
    path: PathBuf,
    failed: Cell<bool>,
}

/// A network namespace of a lab: a machine, as far as routing is concerned.
#[derive(Debug, Clone)]
pub struct Ns {
    /// The short name, as the test calls it.
    pub name: String,
    full: String,
    dir: PathBuf,
}

/// `ip -batch` that takes commands while it runs: what it is told it does at once. What fails it passes over.
#[derive(Debug)]
pub struct Batch {
    child: Child,
    input: ChildStdin,
}

impl Batch {
    /// In a namespace.
    ///
    /// # Errors
    /// When `ip` cannot be started.
    pub fn start(ns: &Ns) -> Result<Batch> {
        let mut command = ns.command("ip");
        command.args(["-force", "-batch", "-"]).stdin(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().ok_or_else(|| Error::new("no input"))?;
        Ok(Batch { child, input })
    }

    /// Lets it do these lines, and does not wait.
    ///
    /// # Errors
    /// When it has ended.
    pub fn tell(&mut self, lines: &str) -> Result {
        self.input.write_all(lines.as_bytes())?;
        Ok(self.input.flush()?)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `body` in a lab of its own, and keeps the logs when it fails or panics.
///
/// # Errors
/// What `body` returns, or that the lab could not be set up.
pub fn lab(name: &str, body: impl FnOnce(&Lab) -> Result) -> Result {
    let lab = Lab::new(name)?;
    let result = body(&lab);
    lab.failed.set(result.is_err());
    result
}

impl Lab {
    /// An empty lab.
    ///
    /// # Errors
    /// When packages or rights are missing, or there is no room for temporary files.
    pub fn new(name: &str) -> Result<Lab> {
        ensure_installed()?;
        sweep_dead_labs();
        let dir = tempfile::Builder::new().prefix(&format!("siskin-{name}-")).tempdir()?;
        // FRR gives up root and still has to reach its own folder below this one.
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let prefix = format!("{MARK}{}.{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let path = dir.path().to_owned();
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        Ok(Lab { name: name.to_owned(), prefix, dir: Some(dir), path, failed: Cell::new(false) })
    }

    /// The folder of this lab.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.path
    }

    /// Marks the lab as failed: its logs are shown and kept when it is dropped.
    pub fn keep(&self) {
        self.failed.set(true);
    }

    /// A new namespace with loopback up, forwarding on and no duplicate address detection.
    ///
    /// # Errors
    /// When `ip netns` refuses.
    pub fn ns(&self, name: &str) -> Result<Ns> {
        let ns = self.handle(name)?;
        run(Command::new("ip").args(["netns", "add", &ns.full]))?;
        ns.prepare()?;
        Ok(ns)
    }

    /// The network namespace of a running process (a container), under a name of this lab.
    ///
    /// # Errors
    /// When `ip netns` refuses.
    pub fn ns_of(&self, name: &str, pid: u32) -> Result<Ns> {
        let ns = self.handle(name)?;
        run(Command::new("ip").args(["netns", "attach", &ns.full, &pid.to_string()]))?;
        ns.prepare()?;
        Ok(ns)
    }

    fn handle(&self, name: &str) -> Result<Ns> {
        let dir = self.path.join(name);
        fs::create_dir(&dir)?;
        Ok(Ns { name: name.to_owned(), full: format!("{}.{name}", self.prefix), dir })
    }

    /// A link between two namespaces: interface `a_if` in `a`, `b_if` in `b`, both up.
    ///
    /// # Errors
    /// When `ip link` refuses, for example a name that is taken.
    pub fn veth(&self, (a, a_if): (&Ns, &str), (b, b_if): (&Ns, &str)) -> Result {
        a.ip(&format!("link add {a_if} type veth peer name {b_if} netns {}", b.full))?;
        a.ip(&format!("link set {a_if} up"))?;
        b.ip(&format!("link set {b_if} up")).map(drop)
    }

    /// A link with addresses (`10.0.0.1/24`, `2001:db8::1/64`, …) on both sides.
    ///
    /// # Errors
    /// As [`Lab::veth`], or for an address that the kernel refuses.
    pub fn link(&self, (a, a_if, a_addrs): End<'_>, (b, b_if, b_addrs): End<'_>) -> Result {
        self.veth((a, a_if), (b, b_if))?;
        a_addrs.iter().try_for_each(|address| a.addr(a_if, address))?;
        b_addrs.iter().try_for_each(|address| b.addr(b_if, address))
    }

    fn namespaces(&self) -> Vec<String> {
        list_namespaces().into_iter().filter(|name| name.starts_with(&format!("{}.", self.prefix))).collect()
    }

    /// The end of every log in the lab's folder, for the reader of a failed test.
    fn show_logs(&self) {
        let mut logs = Vec::new();
        for dir in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            for file in fs::read_dir(dir.path()).into_iter().flatten().flatten() {
                if file.path().extension().is_some_and(|e| e == "log") {
                    logs.push(file.path());
                }
            }
        }
        logs.sort();
        eprintln!("lab {} failed; its files stay in {}", self.name, self.path.display());
        for log in logs {
            let text = fs::read(&log).unwrap_or_default();
            let shown = log.strip_prefix(&self.path).unwrap_or(&log).display();
            eprintln!("--- {shown}\n{}", last_lines(&String::from_utf8_lossy(&text), 25));
        }
    }
}

/// One end of a link: namespace, interface and its addresses.
pub type End<'a> = (&'a Ns, &'a str, &'a [&'a str]);

impl Drop for Lab {
    fn drop(&mut self) {
        self.namespaces().iter().for_each(|name| delete(name));
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).retain(|folder| *folder != self.path);
        if self.failed.get() || std::thread::panicking() {
            self.show_logs();
            if let Some(dir) = self.dir.take() {
                let _ = dir.keep();
            }
        }
    }
}

impl Ns {
    /// Its name for `ip netns`.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.full
    }

    /// The folder of what runs in it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn prepare(&self) -> Result {
        self.ip("link set lo up")?;
        for key in [
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv6.conf.default.forwarding=1",
            "net.ipv6.conf.all.accept_dad=0",
            "net.ipv6.conf.default.accept_dad=0",
            "net.ipv6.conf.default.dad_transmits=0",
            "net.ipv4.fib_multipath_hash_policy=1",
            "net.ipv6.fib_multipath_hash_policy=1",
        ] {
            run(self.command("sysctl").args(["-q", "-w", key]))?;
        }
        Ok(())
    }

    /// A command that will run in this namespace, and die with the thread that starts it.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.full, "setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
        command
    }

    /// Does `work` on a thread inside this namespace: sockets that it makes belong here, whoever uses them later.
    ///
    /// # Errors
    /// What `work` returns, or that the kernel does not let us in.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = Path::new("/run/netns").join(&self.full);
        let inside = || {
            let file = fs::File::open(&path).map_err(|e| Error::from(e).during(path.display()))?;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|e| Error::new(format!("entering namespace {}: {e}", self.name)))?;
            work()
        };
        std::thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Runs `ip ARGUMENTS` for this namespace; the arguments are split at blanks.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        run(Command::new("ip").args(["-n", &self.full]).args(arguments.split_whitespace()))
            .map_err(|e| e.during(format!("in namespace {}", self.name)))
    }

    /// Adds an address with its prefix length to an interface.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn addr(&self, interface: &str, address: &str) -> Result {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        self.ip(&format!("address add {address} dev {interface}{nodad}")).map(drop)
    }

    /// A bridge that is up, without spanning tree.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn bridge(&self, name: &str) -> Result {
        self.ip(&format!("link add {name} type bridge stp_state 0 forward_delay 0"))?;
        self.ip(&format!("link set {name} up")).map(drop)
    }

    /// Whether `count` pings to `address` bring at least one answer.
    ///
    /// # Errors
    /// When `ping` cannot be started.
    pub fn pings(&self, address: &str, count: u32) -> Result<bool> {
        let count = count.to_string();
        let mut ping = self.command("ping");
        ping.args(["-n", "-q", "-i", "0.2", "-W", "1", "-c", &count, address]);
        Ok(crate::process::output(&mut ping)?.status.success())
    }

    /// Writes a file into this namespace's folder and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::write(&path, text).map_err(|e| Error::from(e).during(path.display()))?;
        Ok(path)
    }
}

/// Ends this process in good order on SIGINT, SIGTERM and SIGHUP: what runs in its labs is killed, their
/// namespaces and folders go. For programs; a test is swept up by the next lab.
pub fn clean_up_on_signals() {
    std::thread::spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        if let Some(number) = runtime.block_on(ending_signal()) {
            let mine = format!("{MARK}{}.", std::process::id());
            let names = list_namespaces();
            names.iter().filter(|name| name.starts_with(&mine)).for_each(|name| delete(name));
            for folder in FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let _ = fs::remove_dir_all(folder);
            }
            std::process::exit(128 + number);
        }
    });
}

/// The number of the first signal that means the end.
async fn ending_signal() -> Option<i32> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hang_up = signal(SignalKind::hangup()).ok()?;
    let mut interrupt = signal(SignalKind::interrupt()).ok()?;
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    let number = tokio::select! {
        _ = hang_up.recv() => SignalKind::hangup(),
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    };
    Some(number.as_raw_value())
}

fn list_namespaces() -> Vec<String> {
    let text = run(Command::new("ip").args(["netns", "list"])).unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Kills what runs in a namespace, and deletes it.
fn delete(name: &str) {
    let pids = run(Command::new("ip").args(["netns", "pids", name])).unwrap_or_default();
    for pid in pids.split_whitespace() {
        let _ = run(Command::new("kill").args(["-KILL", pid]));
    }
    let _ = run(Command::new("ip").args(["netns", "delete", name]));
}

/// Deletes namespaces of labs whose process is gone without having cleaned up.
fn sweep_dead_labs() {
    let _one: MutexGuard<'_, ()> = SWEEP.lock().unwrap_or_else(PoisonError::into_inner);
    for name in list_namespaces() {
        let maker = name.strip_prefix(MARK).and_then(|rest| rest.split('.').next());
        if maker.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
            delete(&name);
        }
    }
}
