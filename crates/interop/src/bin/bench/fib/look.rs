//! What the kernel forwards by, seen through iproute2.

use std::path::{Path, PathBuf};
use std::process::Command;

use siskin_interop::lab::Ns;
use siskin_interop::process::{Daemon, output};
use siskin_interop::{Error, Result};

/// Routes that are looked at one by one.
pub(super) const SAMPLE: usize = 50;
/// Routes that somebody else takes away.
const STOLEN: usize = 1_000;

/// A sample of the IPv4 routes in a namespace, and a look at it: one process of iproute2, which asks for what each goes
/// by, not for a dump.
pub(super) struct Look<'a> {
    ns: &'a Ns,
    sample: PathBuf,
    stolen: PathBuf,
    prefixes: Vec<String>,
}

impl Look<'_> {
    /// Takes the sample among the routes by `gateway`.
    pub(super) fn new<'a>(ns: &'a Ns, gateway: &str) -> Result<Look<'a>> {
        let text = ns.ip("-4 -o route show")?;
        let routes: Vec<&str> = text.lines().filter(|line| line.contains(gateway)).collect();
        if routes.len() < SAMPLE + STOLEN {
            return Err(Error::new(format!("only {} routes go by {gateway}", routes.len())));
        }
        let every = |count: usize| {
            let step = routes.len() / count;
            let prefix = |line: &&str| line.split(' ').next().unwrap_or_default().to_owned();
            routes.iter().step_by(step).take(count).map(prefix).collect::<Vec<_>>()
        };
        let address = |prefix: &String| prefix.split('/').next().unwrap_or_default().to_owned();
        let lines = |command: &str, words: Vec<String>| {
            words.iter().map(|word| format!("{command} {word}\n")).collect::<String>()
        };
        let gets = lines("route get fibmatch", every(SAMPLE).iter().map(address).collect());
        let sample = ns.file("sample", &gets)?;
        let stolen = ns.file("stolen", &lines("route del", every(STOLEN)))?;
        Ok(Look { ns, sample, stolen, prefixes: every(SAMPLE) })
    }

    /// The prefixes of the sample.
    pub(super) fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// A route that is not there is no error.
    fn batch(&self, file: &Path) -> Result<String> {
        let mut ip = Command::new("ip");
        ip.args(["-n", self.ns.full_name(), "-4", "-o", "-force", "-batch"]).arg(file);
        Ok(String::from_utf8_lossy(&output(&mut ip)?.stdout).into_owned())
    }

    /// How many routes of the sample go by a gateway.
    pub(super) fn ways(&self, gateway: &str) -> Result<usize> {
        let text = self.batch(&self.sample)?;
        Ok(text.lines().filter(|line| line.contains(&format!("via {gateway} "))).count())
    }

    /// Takes routes away as somebody else would.
    pub(super) fn steal(&self) -> Result {
        self.batch(&self.stolen).map(drop)
    }
}

/// What the kernel tells of next-hop objects.
pub(super) struct Objects {
    monitor: Daemon,
    before: usize,
}

impl Objects {
    /// Listens from now on.
    pub(super) fn watch(ns: &Ns) -> Result<Objects> {
        let mut command = ns.command("ip");
        command.args(["monitor", "nexthop"]);
        let monitor = Daemon::spawn("ip monitor", &mut command, &ns.dir().join("objects.log"))?;
        std::thread::sleep(std::time::Duration::from_millis(300));
        let before = monitor.log().len();
        Ok(Objects { monitor, before })
    }

    /// Whether it told anything since.
    pub(super) fn changed(&self) -> bool {
        self.monitor.log().len() > self.before
    }
}
