//! What the RIB is told about itself and about its peers.

use std::net::IpAddr;
use std::sync::Arc;

use siskin_net::{Asn, BgpIdentifier, Role, RouteSource};

use crate::export::ExportProfile;
use crate::import::ImportProfile;

/// Which paths may share the load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Multipath {
    /// Paths through different neighbouring AS, too, if they are equal otherwise.
    #[default]
    Relaxed,
    /// Only paths through the neighbouring AS of the best.
    SameAs,
}

/// The RIB's own settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RibConfig {
    /// Our AS number.
    pub asn: Asn,
    /// Our BGP Identifier.
    pub identifier: BgpIdentifier,
    /// Our cluster (RFC 4456).
    pub cluster_id: u32,
    /// Which paths may share the load.
    pub multipath: Multipath,
    /// How many paths may share the load, at least 1.
    pub max_paths: u16,
    /// The kernel's table of routes that name none, so that one that names it is no different from them.
    pub kernel_table: u32,
    /// A next hop may be reached by a default route of ours.
    pub resolve_via_default: bool,
    /// Seed of every hash whose keys peers choose; random for each process. [`Rib::configure`](crate::Rib::configure)
    /// does not change it.
    pub hash_seed: u64,
}

/// What the kernel is to do with routes of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FibAction {
    /// Send packets to the resolved next hops.
    #[default]
    Resolve,
    /// Discard packets silently.
    Blackhole,
    /// Discard packets with an ICMP error.
    Unreachable,
    /// Discard packets with an ICMP error that names a prohibition.
    Prohibit,
    /// Nothing: the kernel has the route already, or shall not have it.
    None,
}

/// A peer with an established session, or a source of local routes.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// How its routes enter.
    pub source: RouteSource,
    /// Its AS number.
    pub asn: Asn,
    /// Its BGP Identifier.
    pub identifier: BgpIdentifier,
    /// Its address, the last step of the decision.
    pub address: Option<IpAddr>,
    /// It is in another AS.
    pub external: bool,
    /// What it is to us.
    pub role: Option<Role>,
    /// It is our route reflection client.
    pub reflector_client: bool,
    /// It understands the demarcation of a route refresh (RFC 7313).
    pub enhanced_refresh: bool,
    /// How its routes are judged.
    pub import: Arc<ImportProfile>,
    /// What it is sent; `None`: nothing, it is a source of local routes.
    pub export: Option<ExportProfile>,
    /// What the kernel is to do with its routes.
    pub fib: FibAction,
}

impl PeerInfo {
    /// A source of local routes.
    #[must_use]
    pub fn local(import: Arc<ImportProfile>, identifier: BgpIdentifier, fib: FibAction) -> PeerInfo {
        PeerInfo {
            name: import.name.clone(),
            source: import.source,
            asn: import.asn,
            identifier,
            address: None,
            external: false,
            role: None,
            reflector_client: false,
            enhanced_refresh: false,
            import,
            export: None,
            fib,
        }
    }

    /// Whether what is said to others about its routes may differ from what it was.
    pub(crate) fn differs_for_others(&self, other: &PeerInfo) -> bool {
        (&self.name, self.source, self.asn, self.identifier, self.external, self.role, self.reflector_client)
            != (
                &other.name,
                other.source,
                other.asn,
                other.identifier,
                other.external,
                other.role,
                other.reflector_client,
            )
    }

    /// Whether its stale routes would be decided about differently with `other` in its place.
    pub(crate) fn is_another(&self, other: &PeerInfo) -> bool {
        self.differs_for_others(other) || (self.address, self.fib) != (other.address, other.fib)
    }

    /// Whether its routes are our own, not learned by BGP.
    pub(crate) fn is_local(&self) -> bool {
        self.source != RouteSource::Bgp
    }
}
