//! The hooks of Proxmox and libvirt, run as these run them, with a `siskin` and a `qm` that only write down what they were
//! asked.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use siskin_interop::Result;

/// A folder with the stubs, and where VMs and marks are.
struct World {
    folder: tempfile::TempDir,
}

const QM: &str = "boot: order=scsi0
description: web server%0Asiskin%3A net1 203.0.113.7 2001%3Adb8%3A200%3A%3A7%0A
ipconfig0: ip=198.51.100.30/32,gw=169.254.0.1,ip6=2001:db8:100::80/128,gw6=fe80::1
memory: 2048
net0: virtio=52:02:45:76:D2:35,bridge=vmbr1,firewall=1
net1: e1000e=52:02:45:76:D2:36,bridge=vmbr2,tag=7
net2: virtio=52:02:45:76:D2:37,bridge=vmbr1
";

const DOMAIN: &str = r#"<domain type='kvm' id='4'>
  <name>web01</name>
  <metadata>
    <siskin:vm xmlns:siskin="urn:siskin">
      <siskin:card mac="52:02:45:76:d2:35" addresses="198.51.100.30 2001:db8:100::80"/>
    </siskin:vm>
  </metadata>
  <devices>
    <interface type='bridge'>
      <mac address='52:02:45:76:D2:35'/>
      <source bridge='vmbr1'/>
      TARGET
      <model type='virtio'/>
    </interface>
    <interface type='network'>
      <mac address='52:02:45:76:d2:99'/>
      <source network='default' bridge='virbr0'/>
      <target dev='vnet9'/>
    </interface>
  </devices>
</domain>
"#;

impl World {
    fn new() -> Result<World> {
        let world = World { folder: tempfile::tempdir()? };
        for folder in ["bin", "vms", "run"] {
            fs::create_dir(world.path(folder))?;
        }
        world.stub("siskin", "echo \"siskin $*\" >> \"$CALLS\"; [ ! -e \"$CALLS.fail\" ] || exit 3")?;
        world.stub("logger", "shift 3; echo \"log $*\" >> \"$CALLS\"")?;
        world.stub("qm", "[ \"$1 $3\" = 'config --current' ] || exit 2; cat \"$CALLS.qm\"")?;
        fs::write(world.path("calls.qm"), QM)?;
        Ok(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn stub(&self, name: &str, body: &str) -> Result {
        let file = self.path("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Runs a hook; it must succeed and print nothing. What `siskin` and the log were told.
    fn run(
        &self,
        hook: &str,
        words: &[&str],
        environment: &[(&str, &str)],
        input: &str,
    ) -> Result<Vec<String>> {
        let calls = self.path("calls");
        let mut command =
            Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/hooks").join(hook));
        command.args(words).envs(environment.iter().copied());
        command.env("CALLS", &calls).env("SISKIN_VMS", self.path("vms")).env("SISKIN_RUN", self.path("run"));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A hook may end without reading it.
            drop(stdin.write_all(input.as_bytes()));
        }
        let output = child.wait_with_output()?;
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{hook} {words:?} failed");
        assert!(said.is_empty(), "{hook} {words:?}: {}", String::from_utf8_lossy(&said));
        let told = fs::read_to_string(&calls).unwrap_or_default();
        drop(fs::remove_file(&calls));
        Ok(told.lines().map(str::to_owned).collect())
    }

    fn proxmox(&self, phase: &str, environment: &[(&str, &str)]) -> Result<Vec<String>> {
        self.run("proxmox-hookscript", &["101", phase], environment, "")
    }

    fn libvirt(&self, operation: &str, sub: &str, extra: &str, target: &str) -> Result<Vec<String>> {
        let xml = DOMAIN.replace("TARGET", target);
        self.run("libvirt-qemu", &["web01", operation, sub, extra], &[], &xml)
    }
}

const WEB: &str = "siskin host-routes add vmbr1 198.51.100.30 2001:db8:100::80 --mac 52:02:45:76:D2:35 --port fwpr101p0 --name 101";
const NOTE: &str = "siskin host-routes add vmbr2 203.0.113.7 2001:db8:200::7 --mac 52:02:45:76:D2:36 --port tap101i1 --name 101";

#[test]
fn proxmox_starts_and_stops() -> Result {
    let world = World::new()?;
    assert_eq!(world.proxmox("pre-start", &[])?, [WEB, NOTE]);
    assert_eq!(world.proxmox("post-start", &[])?, [WEB, NOTE]);
    assert!(world.proxmox("pre-stop", &[])?.is_empty());
    assert_eq!(
        world.proxmox("post-stop", &[])?,
        [
            "siskin host-routes release vmbr1 198.51.100.30 2001:db8:100::80",
            "siskin host-routes remove vmbr1 198.51.100.30 2001:db8:100::80",
            "siskin host-routes release vmbr2 203.0.113.7 2001:db8:200::7",
            "siskin host-routes remove vmbr2 203.0.113.7 2001:db8:200::7",
        ]
    );
    Ok(())
}

/// On the target of a migration the VM is still elsewhere when these phases run.
#[test]
fn proxmox_migrates_in() -> Result {
    let world = World::new()?;
    let migrated = [("PVE_MIGRATED_FROM", "hv1")];
    let standby = [format!("{WEB} --standby"), format!("{NOTE} --standby")];
    assert_eq!(world.proxmox("pre-start", &migrated)?, standby);
    assert!(world.proxmox("post-start", &migrated)?.is_empty());
    Ok(())
}

#[test]
fn a_file_of_the_vm_comes_first() -> Result {
    let world = World::new()?;
    fs::write(
        world.path("vms/101"),
        "# web\nnet0 198.51.100.31  # the new one\n\nnet2 198.51.100.32 2001:db8:100::32\n",
    )?;
    assert_eq!(
        world.proxmox("pre-start", &[])?,
        [
            "siskin host-routes add vmbr1 198.51.100.31 --mac 52:02:45:76:D2:35 --port fwpr101p0 --name 101",
            "siskin host-routes add vmbr1 198.51.100.32 2001:db8:100::32 --mac 52:02:45:76:D2:37 --port tap101i2 --name 101",
        ]
    );
    fs::write(world.path("vms/web01"), "52:02:45:76:d2:35 198.51.100.33\n")?;
    assert_eq!(
        world.libvirt("start", "begin", "-", "<target dev='vnet0'/>")?,
        ["siskin host-routes add vmbr1 198.51.100.33 --mac 52:02:45:76:D2:35 --name web01 --port vnet0"]
    );
    Ok(())
}

/// Whatever fails, the VM starts and stops: the hook ends with 0, and says in the log what it was.
#[test]
fn nothing_keeps_a_vm_from_its_start() -> Result {
    let world = World::new()?;
    fs::write(world.path("calls.fail"), "")?;
    let told = world.proxmox("pre-start", &[])?;
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[1].starts_with("log vm 101 pre-start: siskin host-routes add vmbr1"), "{told:?}");
    world.stub("qm", "echo no such VM >&2; exit 255")?;
    assert_eq!(world.proxmox("pre-start", &[])?, ["log vm 101 pre-start: qm config: no such VM"]);
    world.stub("siskin", "exec sleep 60")?;
    let start = std::time::Instant::now();
    let told = world.libvirt("start", "begin", "-", "<target dev='vnet0'/>")?;
    assert!(start.elapsed() < std::time::Duration::from_secs(15) && told.len() == 1, "{told:?}");
    assert!(world.run("libvirt-qemu", &["web01", "start", "begin", "-"], &[], "no XML at all")?.is_empty());
    assert!(world.run("libvirt-qemu", &[], &[], "")?.is_empty());
    assert!(world.run("proxmox-hookscript", &[], &[], "")?.is_empty());
    Ok(())
}

const LIBVIRT: &str =
    "siskin host-routes add vmbr1 198.51.100.30 2001:db8:100::80 --mac 52:02:45:76:D2:35 --name web01";

#[test]
fn libvirt_starts_and_stops() -> Result {
    let world = World::new()?;
    assert!(world.libvirt("prepare", "begin", "-", "")?.is_empty());
    assert_eq!(world.libvirt("start", "begin", "-", "")?, [LIBVIRT]);
    let with_port = format!("{LIBVIRT} --port vnet0");
    for operation in ["started", "restore", "reconnect"] {
        assert_eq!(
            world.libvirt(operation, "begin", "-", "<target dev='vnet0'/>")?,
            std::slice::from_ref(&with_port)
        );
    }
    assert!(world.libvirt("attach", "begin", "-", "")?.is_empty());
    assert!(world.libvirt("stopped", "end", "shutdown", "")?.is_empty());
    assert_eq!(
        world.libvirt("release", "end", "shutdown", "")?,
        [
            "siskin host-routes release vmbr1 198.51.100.30 2001:db8:100::80",
            "siskin host-routes remove vmbr1 198.51.100.30 2001:db8:100::80",
        ]
    );
    Ok(())
}

#[test]
fn libvirt_migrates_in_and_out() -> Result {
    let world = World::new()?;
    let standby = format!("{LIBVIRT} --standby");
    let at_port = format!("{LIBVIRT} --port vnet3 --standby");
    assert_eq!(world.libvirt("migrate", "begin", "-", "")?, [standby]);
    assert!(world.libvirt("prepare", "begin", "-", "")?.is_empty());
    assert_eq!(
        world.libvirt("start", "begin", "-", "<target dev='vnet3'/>")?,
        std::slice::from_ref(&at_port)
    );
    assert_eq!(world.libvirt("started", "begin", "-", "<target dev='vnet3'/>")?, [at_port]);
    assert_eq!(fs::read_dir(world.path("run"))?.count(), 0, "the mark is gone");
    // Once here it is a VM like any other.
    let here = world.libvirt("reconnect", "begin", "-", "<target dev='vnet3'/>")?;
    assert_eq!(here, [format!("{LIBVIRT} --port vnet3")]);
    assert_eq!(
        world.libvirt("release", "end", "migrated", "")?,
        ["siskin host-routes remove vmbr1 198.51.100.30 2001:db8:100::80"]
    );
    Ok(())
}

/// Where shellcheck is (`make setup` installs it), it finds nothing.
#[test]
fn shellcheck_finds_nothing() -> Result {
    for hook in ["proxmox-hookscript", "libvirt-qemu"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/hooks").join(hook);
        let output = Command::new("shellcheck").arg(&file).output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}
