//! A real guest: Debian with its own kernel under QEMU's software emulation, on a tap behind the hypervisor's bridge.
//!
//! The image is made once, of Debian's packages, and kept under [`CACHE`]. Each guest boots a copy with a netplan file of
//! the test's; its network card has the name it would have under Proxmox. It talks as any guest does: it asks for hosts
//! beyond its gateway, and says on its console when one of them answered.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::debian::{self, CACHE};
use crate::install::which;
use crate::lab::{Lab, Ns};
use crate::process::{Daemon, run};
use crate::{Result, fail};

/// How long a guest may take to boot and talk: its processor is emulated, on a machine that does other things too.
pub const BOOT: Duration = Duration::from_secs(300);

/// Changes with the recipe of the image.
const VERSION: &str = "guest-1";

const PACKAGES: [&str; 6] =
    ["systemd-sysv", "udev", "netplan.io", "iproute2", "iputils-ping", "linux-image-cloud-amd64"];

/// A guest's size on disk; most of it stays a hole.
const SIZE: &str = "800M";

/// A running guest; dropping it is pulling the plug.
#[derive(Debug)]
pub struct Guest {
    machine: Daemon,
    console: PathBuf,
}

/// The image's parts.
struct Image {
    disk: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
}

impl Guest {
    /// Boots a guest on `tap` in a hypervisor's namespace, which exists. It has this MAC address and netplan file, and asks
    /// for `targets` until each has answered.
    ///
    /// # Errors
    /// When the image cannot be made or QEMU not started.
    pub fn boot(
        lab: &Lab,
        hypervisor: &Ns,
        tap: &str,
        mac: &str,
        netplan: &str,
        targets: &[&str],
    ) -> Result<Guest> {
        for program in ["debootstrap", "mkfs.ext4", "debugfs", "qemu-system-x86_64"] {
            if which(program).is_none() {
                return fail(format!("{program} is missing; run `make setup`"));
            }
        }
        let image = Image::get()?;
        let disk = lab.dir().join("guest.ext4");
        run(Command::new("cp").arg("--sparse=always").arg(&image.disk).arg(&disk))?;
        put(lab, &disk, "netplan.yaml", netplan, "/etc/netplan/50-guest.yaml")?;
        put(lab, &disk, "targets", &format!("{}\n", targets.join("\n")), "/etc/talk-to")?;
        let console = lab.dir().join("console.log");
        let mut command = hypervisor.command("qemu-system-x86_64");
        // The slot gives the card the name ens18.
        let device = format!("virtio-net-pci,netdev=net0,mac={mac},addr=0x12");
        let netdev = format!("tap,id=net0,ifname={tap},script=no,downscript=no");
        command.args(["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "512"]);
        command.args(["-nodefaults", "-display", "none", "-no-reboot"]);
        command.args(["-netdev", &netdev, "-device", &device]);
        command.arg("-drive").arg(format!("file={},if=virtio,format=raw", disk.display()));
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.initrd);
        command.args(["-append", "root=/dev/vda rw console=ttyS0 quiet systemd.mask=e2scrub_reap.service"]);
        let machine = Daemon::spawn("qemu", &mut command, &lab.dir().join("qemu.log"))?;
        Ok(Guest { machine, console })
    }

    /// Whether the guest has heard from a target.
    ///
    /// # Errors
    /// When it is not running any more.
    pub fn has_reached(&mut self, target: &str) -> Result<bool> {
        self.machine.check_alive()?;
        // A login prompt may stand before it.
        Ok(self.console().lines().any(|line| line.trim_end().ends_with(&format!("reached {target}"))))
    }

    /// What its console showed so far.
    #[must_use]
    pub fn console(&self) -> String {
        std::fs::read(&self.console)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

/// Writes a file into a file system that is not mounted.
fn put(lab: &Lab, disk: &Path, name: &str, text: &str, to: &str) -> Result {
    let file = lab.dir().join(name);
    std::fs::write(&file, text)?;
    let write = format!("write {} {to}", file.display());
    run(Command::new("debugfs").args(["-w", "-R", &write]).arg(disk)).map(drop)
}

impl Image {
    /// The image, made if it is not there.
    fn get() -> Result<Image> {
        let folder = Path::new(CACHE).join(VERSION);
        let image = Image {
            disk: folder.join("disk.ext4"),
            kernel: folder.join("vmlinuz"),
            initrd: folder.join("initrd.img"),
        };
        std::fs::create_dir_all(CACHE)?;
        let lock = File::create(Path::new(CACHE).join("guest.lock"))?;
        lock.lock()?;
        if !folder.exists() {
            let draft = Path::new(CACHE).join(format!("{VERSION}.{}", std::process::id()));
            let made = Image::make(&draft).and_then(|()| Ok(std::fs::rename(&draft, &folder)?));
            debian::remove(&draft);
            made.map_err(|e| e.during("making the guest's image"))?;
        }
        Ok(image)
    }

    fn make(folder: &Path) -> Result {
        std::fs::create_dir(folder)?;
        let root = folder.join("root");
        debian::bootstrap(&root, &PACKAGES)?;
        std::fs::write(root.join("etc/hostname"), "guest\n")?;
        std::fs::write(root.join("etc/fstab"), "/dev/vda / ext4 defaults 0 1\n")?;
        std::fs::create_dir_all(root.join("etc/netplan"))?;
        std::fs::write(root.join("usr/local/bin/talk"), TALK)?;
        std::fs::write(root.join("etc/systemd/system/talk.service"), SERVICE)?;
        let root_name = root.display().to_string();
        let enable = ["systemctl", "enable", "systemd-networkd.service", "talk.service"];
        run(Command::new("chroot").arg(&root_name).args(enable))?;
        for (link, name) in [("vmlinuz", "vmlinuz"), ("initrd.img", "initrd.img")] {
            // Links within the guest's root; they are relative.
            std::fs::copy(root.join(link), folder.join(name))?;
        }
        for useless in ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"] {
            debian::remove(&root.join(useless));
        }
        let disk = folder.join("disk.ext4");
        run(Command::new("truncate").args(["-s", SIZE]).arg(&disk))?;
        run(Command::new("mkfs.ext4").args(["-q", "-O", "^has_journal", "-d", &root_name]).arg(&disk))?;
        debian::remove(&root);
        Ok(())
    }
}

/// Asks for each target until it answers.
const TALK: &str = "#!/bin/sh
while read -r target; do
    until ping -n -q -c 1 -W 1 \"$target\" > /dev/null 2>&1; do sleep 0.5; done
    echo \"reached $target\" > /dev/console
done < /etc/talk-to
";

const SERVICE: &str = "[Unit]
After=systemd-networkd.service

[Service]
ExecStart=/bin/sh /usr/local/bin/talk

[Install]
WantedBy=multi-user.target
";
