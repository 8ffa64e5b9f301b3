//! Many VMs on one hypervisor, and a peer that notes when it hears of them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::frames::{Discovery, arp_request};
use crate::hypervisor::Uplink;
use crate::lab::{Lab, Ns};
use crate::ports::{GATEWAY4, GATEWAY6, Ports, address4, address6, mac, prefixes, tables};
use crate::siskin::Siskin;
use crate::wait::SOON;
use crate::watch::Watch;
use crate::{Error, Result};

/// A hypervisor with room for many VMs, and a peer that notes when it hears of them.
pub struct Fleet {
    /// The hypervisor.
    pub hv: Ns,
    /// Its VMs.
    pub ports: Ports,
    /// Siskin.
    pub siskin: Siskin,
    /// The peer.
    pub watch: Watch,
}

/// `ip monitor link`, with the time of each line.
pub struct News {
    child: Child,
    lines: mpsc::Receiver<(Instant, String)>,
}

impl News {
    /// What the kernel says of the links of `ns`.
    ///
    /// # Errors
    /// When `ip` cannot be started.
    pub fn start(ns: &Ns) -> Result<News> {
        let mut command = ns.command("ip");
        command.args(["-o", "monitor", "link"]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output: ChildStdout = child.stdout.take().ok_or_else(|| Error::new("no output"))?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(News { child, lines })
    }

    /// When the first and the last line came that name a port; forgets what came before.
    #[must_use]
    pub fn of(&self, port: &str) -> Option<(Instant, Instant)> {
        let about = |line: &str| line.split([' ', '@', ':']).any(|word| word == port);
        let times: Vec<Instant> = self.lines.try_iter().filter(|(_, l)| about(l)).map(|(at, _)| at).collect();
        Some((*times.first()?, *times.last()?))
    }
}

impl Drop for News {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fleet {
    /// A hypervisor with so many bridges and no VM; `keys` go into each bridge's section.
    ///
    /// # Errors
    /// When something does not start.
    pub fn start(lab: &Lab, bridges: u16, keys: &str) -> Result<Fleet> {
        let upstream = lab.ns("upstream")?;
        let uplink = Uplink { number: 1 };
        let hv = uplink.plug(lab, &upstream)?;
        let ports = Ports::new(lab, &hv, "vms", bridges)?;
        let watch = Watch::start(&upstream, uplink.theirs().parse()?, crate::hypervisor::UPSTREAM_AS);
        let siskin = uplink.start(&hv, &tables(bridges, keys))?;
        watch.wait_established(SOON)?;
        Ok(Fleet { hv, ports, siskin, watch })
    }

    /// From a VM's first frame of one family to its UPDATE.
    ///
    /// # Errors
    /// When it does not come.
    pub fn start_one(&self, vm: u16, ipv6: bool) -> Result<Duration> {
        let [four, six] = prefixes(vm);
        let frame = match ipv6 {
            true => Discovery::solicitation(mac(vm), address6(vm), GATEWAY6).frame(),
            false => arp_request(mac(vm), address4(vm), GATEWAY4),
        };
        let start = Instant::now();
        self.ports.send(vm, &frame)?;
        let heard = self.watch.wait_for(if ipv6 { six } else { four }, true, SOON)?;
        Ok(heard.saturating_duration_since(start))
    }
}
