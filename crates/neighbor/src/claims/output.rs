//! What the machine wants done and said.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use siskin_net::IfIndex;

use super::config::Gateway;
use super::mobility::Mobility;
use crate::Mac;

/// Something for the world outside the machine to do, in the order in which it was put out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// For the kernel and for BGP.
    Action(Action),
    /// Ask a VM whether it still has `address`: ARP or NS from the gateway, unicast to `mac`.
    Probe {
        /// The port it goes out of, or the interface itself where the port is not known.
        via: IfIndex,
        /// Our MAC address and the gateway's addresses.
        from: (Mac, Gateway),
        /// The VM's MAC address.
        mac: Mac,
        /// The address asked for.
        address: IpAddr,
    },
    /// Tell the VMs on a port the gateway's MAC address: gratuitous ARP and unsolicited NA.
    AnnounceGateway {
        /// The port.
        via: IfIndex,
        /// Our MAC address and the gateway's addresses.
        from: (Mac, Gateway),
    },
}

/// What the daemon does to the kernel and to BGP. Actions come in the order they must be done in: neighbour entry and
/// route before the announcement, withdrawal before both are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A permanent neighbour entry, then the host route, both on `interface` and with our protocol number; replaces
    /// what is there.
    Install {
        /// The interface of the domain, never a bridge port.
        interface: IfIndex,
        /// The VM's address.
        address: IpAddr,
        /// The VM's MAC address.
        mac: Mac,
    },
    /// Remove the host route, then the neighbour entry. That they are gone already is no error.
    Remove {
        /// The interface.
        interface: IfIndex,
        /// The VM's address.
        address: IpAddr,
    },
    /// Announce the host route. Put out again, without a withdrawal in between, when only `mobility` changes.
    Announce {
        /// The domain: the name of its interface.
        domain: Arc<str>,
        /// The interface.
        interface: IfIndex,
        /// The VM's address.
        address: IpAddr,
        /// What goes with the route.
        mobility: Mobility,
    },
    /// Withdraw the host route.
    Withdraw {
        /// The domain.
        domain: Arc<str>,
        /// The VM's address.
        address: IpAddr,
    },
    /// Nothing to do: something people and `siskin monitor` should hear of. Rate-limited per port.
    Notice(Notice),
}

/// An event worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The domain.
    pub domain: Arc<str>,
    /// The port it happened on.
    pub port: Option<IfIndex>,
    /// The MAC address that spoke, or the owner's.
    pub mac: Mac,
    /// The address it is about.
    pub address: Option<IpAddr>,
    /// What happened.
    pub kind: NoticeKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// A claim was refused; so many more on this port were not told since the last notice.
    Refused(Refusal, u64),
    /// The owner answered no probe.
    Silent,
    /// Another port or MAC address has the address now.
    Moved,
    /// The address was taken over from another router: it is announced elevated.
    TakenOver,
    /// Another router announces the address with precedence: it was withdrawn.
    Yielded,
    /// The owner is alive, and another router announces the address too.
    Duplicate,
    /// The address moved between routers too often: it stays where it is for a while.
    Frozen,
    /// Somebody else removed our route or neighbour entry; it is put back.
    Mended,
}

/// Why a frame changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// The frame breaks its protocol.
    Malformed,
    /// It carries a VLAN tag.
    Tagged,
    /// Its source is our own MAC address.
    OurMac,
    /// The interface is down.
    InterfaceDown,
    /// The address is outside the domain's prefixes.
    OutsidePrefixes,
    /// The address is the gateway's, one of our own, or no host's.
    Forbidden,
    /// The guard is `provisioned` and the address is not declared.
    NotDeclared,
    /// The address belongs to another MAC address.
    WrongMac,
    /// The address belongs to another port.
    WrongPort,
    /// The port has all the addresses it may have.
    PortLimit,
    /// There are [`super::MAX_CLAIMS`] addresses.
    TotalLimit,
    /// The address moved too often.
    Damped,
    /// Another router announces the address, and not for this MAC address.
    Conflict,
}

impl Refusal {
    /// All, in the order of their counters.
    pub const ALL: [Refusal; 13] = [
        Refusal::Malformed,
        Refusal::Tagged,
        Refusal::OurMac,
        Refusal::InterfaceDown,
        Refusal::OutsidePrefixes,
        Refusal::Forbidden,
        Refusal::NotDeclared,
        Refusal::WrongMac,
        Refusal::WrongPort,
        Refusal::PortLimit,
        Refusal::TotalLimit,
        Refusal::Damped,
        Refusal::Conflict,
    ];

    /// The word used in tables, JSON and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Malformed => "malformed",
            Refusal::Tagged => "tagged",
            Refusal::OurMac => "our-mac",
            Refusal::InterfaceDown => "interface-down",
            Refusal::OutsidePrefixes => "outside-prefixes",
            Refusal::Forbidden => "forbidden-address",
            Refusal::NotDeclared => "not-declared",
            Refusal::WrongMac => "wrong-mac",
            Refusal::WrongPort => "wrong-port",
            Refusal::PortLimit => "port-limit",
            Refusal::TotalLimit => "total-limit",
            Refusal::Damped => "damped",
            Refusal::Conflict => "conflict",
        }
    }

    /// Whether a VM that does no wrong never causes it.
    #[must_use]
    pub const fn is_suspicious(self) -> bool {
        !matches!(self, Refusal::Tagged | Refusal::InterfaceDown | Refusal::OutsidePrefixes)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{address} ")?;
        }
        match self.kind {
            NoticeKind::Refused(why, 0) => write!(f, "claim by {} refused: {why}", self.mac),
            NoticeKind::Refused(why, more) => {
                write!(f, "claim by {} refused: {why}; {more} more refusals on this port", self.mac)
            }
            NoticeKind::Silent => write!(f, "owner {} answers no probe", self.mac),
            NoticeKind::Moved => write!(f, "moved to {}", self.mac),
            NoticeKind::TakenOver => write!(f, "of {} came from another router", self.mac),
            NoticeKind::Yielded => write!(f, "of {} went to another router", self.mac),
            NoticeKind::Duplicate => {
                write!(f, "of {} is here, and announced by another router too", self.mac)
            }
            NoticeKind::Frozen => write!(f, "of {} moves between routers too often, frozen", self.mac),
            NoticeKind::Mended => write!(f, "route or neighbour entry was removed by someone, put back"),
        }
    }
}
