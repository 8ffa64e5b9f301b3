//! FRR in a container: a file system of Debian's own, made once, and a Docker daemon of our own where none
//! runs.
//!
//! No registry is asked: `debootstrap` makes the file system from the distribution's packages and
//! `docker import` makes the image. The container has no network of Docker's; a veth of the lab is put into
//! its namespace. Image and data are kept under [`CACHE`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::debian::{self, CACHE};
use crate::frr::{self, Frr};
use crate::install::which;
use crate::lab::{Lab, Ns};
use crate::process::{Daemon, run};
use crate::router::Config;
use crate::wait::{SOON, wait_for, wait_some};
use crate::{Result, fail};

/// The image's name.
const IMAGE: &str = "siskin-test-frr:bookworm";

/// The first time, Debian's packages are fetched and unpacked.
const FIRST_TIME: Duration = Duration::from_secs(120);

/// A Docker daemon to talk to: the machine's, or one that ends with this.
#[derive(Debug)]
pub struct Docker {
    host: Option<PathBuf>,
    daemon: Option<Daemon>,
    /// Two daemons cannot share their data: the file is locked as long as ours runs.
    _lock: Option<File>,
}

/// FRR in a container, and the container.
#[derive(Debug)]
pub struct ContainerFrr {
    /// To be used like any other FRR.
    pub frr: Frr,
    name: String,
}

impl Docker {
    /// Finds a running Docker, or starts one with folders of its own, no bridge and no packet filter rules.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn start(lab: &Lab) -> Result<Docker> {
        for program in ["docker", "dockerd", "debootstrap"] {
            if which(program).is_none() {
                return fail(format!("{program} is missing; run `make setup`"));
            }
        }
        if run(Command::new("docker").arg("info")).is_ok_and(|text| text.contains("Server Version")) {
            return Ok(Docker { host: None, daemon: None, _lock: None });
        }
        std::fs::create_dir_all(CACHE)?;
        let lock = File::create(Path::new(CACHE).join("lock"))?;
        lock.lock()?;
        let dir = lab.dir().join("docker");
        std::fs::create_dir(&dir)?;
        let socket = dir.join("docker.sock");
        let mut command = Command::new("dockerd");
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--data-root"]);
        command.arg(Path::new(CACHE).join("docker")).arg("--exec-root").arg(dir.join("exec"));
        command.arg("--pidfile").arg(dir.join("pid")).arg("-H").arg(format!("unix://{}", socket.display()));
        let mut daemon = Daemon::spawn("dockerd", &mut command, &dir.join("dockerd.log"))?;
        let mut docker = Docker { host: Some(socket), daemon: None, _lock: Some(lock) };
        wait_for("dockerd", SOON, || {
            daemon.check_alive()?;
            Ok(docker.run(&["info"]).is_ok_and(|text| text.contains("Server Version")))
        })?;
        docker.daemon = Some(daemon);
        Ok(docker)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        if let Some(socket) = &self.host {
            command.arg("-H").arg(format!("unix://{}", socket.display()));
        }
        command.args(arguments);
        command
    }

    /// Runs one `docker` command.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        run(&mut self.command(arguments))
    }

    /// Makes the image unless it is there.
    fn image(&self) -> Result {
        if !self.run(&["images", "-q", IMAGE])?.trim().is_empty() {
            return Ok(());
        }
        let root = Path::new(CACHE).join(format!("root.{}", std::process::id()));
        let archive = root.with_extension("tar");
        let made = debian::bootstrap(&root, &["frr"])
            .and_then(|()| run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".")))
            .and_then(|_| self.run(&["import", &archive.display().to_string(), IMAGE]));
        debian::remove(&root);
        debian::remove(&archive);
        made.map(drop).map_err(|e| e.during("making the container image"))
    }

    /// Runs FRR in a container and gives its network namespace the lab's name `name`; `plug` then connects it,
    /// before BGP starts.
    ///
    /// # Errors
    /// When the image cannot be made or the container not started.
    pub fn frr(
        &self,
        lab: &Lab,
        name: &str,
        config: &Config,
        plug: impl FnOnce(&Ns) -> Result,
    ) -> Result<ContainerFrr> {
        self.image()?;
        let files = lab.dir().join(format!("{name}-frr"));
        std::fs::create_dir(&files)?;
        std::fs::set_permissions(&files, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        std::fs::write(files.join("bgpd.conf"), frr::text(config))?;
        std::fs::write(files.join("zebra.conf"), "ip nht resolve-via-default\n")?;
        let container = format!("siskin-test-{}-{name}", std::process::id());
        let mount = format!("{}:/lab", files.display());
        let script = "until [ -e /lab/go ]; do sleep 0.1; done\n\
                      /usr/lib/frr/zebra -f /lab/zebra.conf -i /lab/zebra.pid -z /lab/zserv.api \
                      --vty_socket /lab --log stdout &\n\
                      until [ -e /lab/zserv.api ]; do sleep 0.1; done\n\
                      exec /usr/lib/frr/bgpd -f /lab/bgpd.conf -i /lab/bgpd.pid -z /lab/zserv.api \
                      --vty_socket /lab --log stdout";
        let mut command = self.command(&["run", "--rm", "--name", &container, "--network=none"]);
        // Docker switches IPv6 off in a container without a network of its own.
        for scope in ["all", "default"] {
            command.args(["--sysctl", &format!("net.ipv6.conf.{scope}.disable_ipv6=0")]);
        }
        for capability in ["NET_ADMIN", "NET_RAW", "SYS_ADMIN"] {
            command.args(["--cap-add", capability]);
        }
        command.args(["-v", &mount, IMAGE, "sh", "-c", script]);
        let daemon = Daemon::spawn(name, &mut command, &files.join("container.log"))?;
        let pid = wait_some("the container", FIRST_TIME, || {
            let text = self.run(&["inspect", "-f", "{{.State.Pid}}", &container])?;
            Ok(text.trim().parse::<u32>().ok().filter(|pid| *pid > 0))
        })?;
        plug(&lab.ns_of(name, pid)?)?;
        std::fs::write(files.join("go"), "")?;
        let frr = Frr::adopt(&files, config, daemon);
        wait_for("FRR in the container", SOON, || {
            Ok(frr.vtysh(&["show bgp summary json"]).is_ok_and(|text| text.contains('{')))
        })?;
        Ok(ContainerFrr { frr, name: container })
    }

    /// Removes the container.
    ///
    /// # Errors
    /// When Docker refuses.
    pub fn remove(&self, container: ContainerFrr) -> Result {
        self.run(&["rm", "-f", &container.name]).map(drop)
    }
}

/// A Docker of ours takes its own children down when it is asked to end, and leaves them when it is killed.
impl Drop for Docker {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // When it does not listen, dropping it kills it.
            let _ = daemon.stop(SOON);
        }
    }
}
