//! Virtual machines without virtualisation: a namespace whose interface is a port of a hypervisor's bridge,
//! with a /32 and a /128 and the link-local gateway, as tenants are given them.

use std::cell::RefCell;

use crate::Result;
use crate::lab::{Lab, Ns};

/// The gateway every VM uses for IPv4, on every hypervisor.
const GATEWAY4: &str = "169.254.0.1";
/// The same for IPv6.
const GATEWAY6: &str = "fe80::1";

/// Puts bridge `vmbr1` with the gateways' addresses into a hypervisor's namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn hypervisor_bridge(ns: &Ns) -> Result {
    gateway_bridge(ns, "vmbr1")
}

/// Puts a bridge with the gateways' addresses into a hypervisor's namespace.
pub(crate) fn gateway_bridge(ns: &Ns, name: &str) -> Result {
    ns.bridge(name)?;
    ns.addr(name, &format!("{GATEWAY4}/32"))?;
    ns.addr(name, &format!("{GATEWAY6}/64"))
}

/// The part of the hypervisor's configuration that is about its VMs.
#[must_use]
pub fn hypervisor_tables() -> String {
    format!(
        "\n[host-routes.vmbr1]\nprefixes = [\"198.51.100.0/24\", \"2001:db8:100::/56\"]\n\
         gateway = {{ ipv4 = \"{GATEWAY4}\", ipv6 = \"{GATEWAY6}\" }}\n"
    )
}

/// A VM: its namespace, and the port it is plugged into at the moment.
#[derive(Debug)]
pub struct Vm {
    ns: Ns,
    number: u8,
    plugged: RefCell<Option<(Ns, String)>>,
}

impl Vm {
    /// A VM that is plugged in nowhere; `number` makes its addresses and its MAC.
    ///
    /// # Errors
    /// When the namespace cannot be made.
    pub fn new(lab: &Lab, name: &str, number: u8) -> Result<Vm> {
        Ok(Vm { ns: lab.ns(name)?, number, plugged: RefCell::new(None) })
    }

    /// Its namespace.
    #[must_use]
    pub fn ns(&self) -> &Ns {
        &self.ns
    }

    /// Its IPv4 address.
    #[must_use]
    pub fn address4(&self) -> String {
        format!("198.51.100.{}", self.number)
    }

    /// Its IPv6 address.
    #[must_use]
    pub fn address6(&self) -> String {
        format!("2001:db8:100::{}", self.number)
    }

    /// Its /32.
    #[must_use]
    pub fn v4(&self) -> String {
        format!("{}/32", self.address4())
    }

    /// Its /128.
    #[must_use]
    pub fn v6(&self) -> String {
        format!("{}/128", self.address6())
    }

    /// Its MAC address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        [0x52, 0x02, 0x45, 0x76, 0xd2, self.number]
    }

    /// The port of the hypervisor's bridge that this VM has there.
    #[must_use]
    pub fn port(&self) -> String {
        format!("tap{}i0", self.number)
    }

    /// Connects it to a hypervisor's bridge, with the same MAC and addresses as ever.
    ///
    /// # Errors
    /// When it is plugged in already, or the kernel refuses.
    pub fn plug(&self, hypervisor: &Ns) -> Result {
        let port = self.port();
        self.connect(hypervisor, &port)?;
        hypervisor.ip(&format!("link set {port} master vmbr1"))?;
        self.configure()
    }

    /// Connects it to an interface of a hypervisor of its own, on no bridge, with the gateway's addresses on it.
    ///
    /// # Errors
    /// As [`Vm::plug`].
    pub fn plug_routed(&self, hypervisor: &Ns, port: &str) -> Result {
        self.connect(hypervisor, port)?;
        hypervisor.addr(port, &format!("{GATEWAY4}/32"))?;
        hypervisor.addr(port, &format!("{GATEWAY6}/64"))?;
        self.configure()
    }

    fn connect(&self, hypervisor: &Ns, port: &str) -> Result {
        let link = format!("link add {port} type veth peer name eth0 netns {}", self.ns.full_name());
        hypervisor.ip(&link)?;
        hypervisor.ip(&format!("link set {port} up"))?;
        *self.plugged.borrow_mut() = Some((hypervisor.clone(), port.to_owned()));
        Ok(())
    }

    /// Its MAC and addresses, and its ways out, on an `eth0` that is there.
    pub(crate) fn configure(&self) -> Result {
        let [.., last] = self.mac();
        self.ns.ip(&format!("link set eth0 address 52:02:45:76:d2:{last:02x}"))?;
        self.ns.ip("link set eth0 up")?;
        self.ns.addr("eth0", &self.v4())?;
        self.ns.addr("eth0", &self.v6())?;
        self.ns.ip(&format!("route add {GATEWAY4}/32 dev eth0 src {}", self.address4()))?;
        self.ns.ip(&format!("route add default via {GATEWAY4} dev eth0 src {}", self.address4()))?;
        let default6 = format!("-6 route add default via {GATEWAY6} dev eth0 src {}", self.address6());
        self.ns.ip(&default6).map(drop)
    }

    /// Takes the port away, as a hypervisor does when the VM stops or has moved.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn unplug(&self) -> Result {
        match self.plugged.borrow_mut().take() {
            Some((hypervisor, port)) => hypervisor.ip(&format!("link del {port}")).map(drop),
            None => Ok(()),
        }
    }

    /// Lets it talk to its gateway in both families, as every booting system does: ARP and neighbour
    /// discovery carry its addresses.
    ///
    /// # Errors
    /// When `ping` cannot be started. No answer is no error: whoever waits for the effect finds out.
    pub fn speak(&self) -> Result {
        // As guests and QEMU do after a start or a move, more than once: the first frames may be faster than the news
        // of the port.
        for _ in 0..3 {
            self.ns.ip("neighbor flush dev eth0")?;
            self.speak_once()?;
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        Ok(())
    }

    /// As [`Vm::speak`], once.
    ///
    /// # Errors
    /// As [`Vm::speak`].
    pub fn speak_once(&self) -> Result {
        self.speak_from(&self.address4())?;
        let mut ping = self.ns.command("ping");
        let from = self.address6();
        ping.args(["-n", "-q", "-c", "1", "-W", "1", "-I", &from, &format!("{GATEWAY6}%eth0")]);
        crate::process::output(&mut ping).map(drop)
    }

    /// The same for IPv4 alone, from an address of one's choice.
    ///
    /// # Errors
    /// As [`Vm::speak`].
    pub fn speak_from(&self, address: &str) -> Result {
        let mut ping = self.ns.command("ping");
        ping.args(["-n", "-q", "-c", "1", "-W", "1", "-I", address, GATEWAY4]);
        crate::process::output(&mut ping).map(drop)
    }
}
