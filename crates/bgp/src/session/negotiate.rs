//! Our OPEN, and what the peer's makes of it (RFC 4271 section 6.2, RFC 5492, 4724, 6286, 6793, 7607, 8538, 9234).
//!
//! A peer without one family in common is refused with Unsupported Capability and the families we wanted as data: an
//! Established session that can carry nothing would hide the mistake on both sides.

use siskin_net::{Asn, BgpIdentifier, FamilySet, Role};

use super::{DownReason, SessionConfig};
use crate::wire::{
    AddPath, Capabilities, DecodeContext, EXTENDED_MAX_LEN, EncodeContext, ErrorCode, Fqdn, GracefulRestart,
    MAX_LEN, Notification, Open, local_role,
};

/// What two OPENs agree on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Our AS towards the peer.
    pub local_asn: Asn,
    /// The peer's AS.
    pub peer_asn: Asn,
    /// The peer's identifier.
    pub peer_identifier: BgpIdentifier,
    /// The Hold Time in seconds; 0: neither side expects KEEPALIVEs.
    pub hold_time: u16,
    /// The interval of our KEEPALIVEs in seconds, before jitter: a third of the Hold Time.
    pub keepalive: u16,
    /// The families of this session, never none.
    pub families: FamilySet,
    /// AS numbers have four octets.
    pub four_octet_as: bool,
    /// Messages may have 65,535 octets.
    pub extended_message: bool,
    /// The peer answers ROUTE-REFRESH.
    pub route_refresh: bool,
    /// Both sides mark the ends of an answer (RFC 7313).
    pub enhanced_refresh: bool,
    /// Families that may go with an IPv6 next hop (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// Families with path identifiers, by what we do.
    pub add_path: AddPath,
    /// The peer's graceful restart capability.
    pub graceful_restart: Option<GracefulRestart>,
    /// Families whose routes from the peer outlive the loss of this session (RFC 4724 section 4.2).
    pub keeps: FamilySet,
    /// The peer keeps our routes when we restart.
    pub kept_by_peer: bool,
    /// Both sides keep routes over a NOTIFICATION that is no Hard Reset (RFC 8538).
    pub notification_support: bool,
    /// The role the peer sent, seen from here.
    pub peer_role: Option<Role>,
    /// The peer's name.
    pub fqdn: Option<Fqdn>,
    /// The peer's capabilities as they came.
    pub peer_capabilities: Capabilities,
    /// How UPDATEs are read.
    pub decode: DecodeContext,
    /// How UPDATEs are written.
    pub encode: EncodeContext,
    /// The peer is in another AS.
    pub external: bool,
}

impl Negotiated {
    /// The longest message either side may send.
    #[must_use]
    pub const fn max_len(&self) -> usize {
        if self.extended_message { EXTENDED_MAX_LEN } else { MAX_LEN }
    }

    /// Families whose routes from the peer are to be kept as stale, now that the session ended for `reason`.
    #[must_use]
    pub fn kept_after(&self, reason: &DownReason) -> FamilySet {
        let kept = match reason {
            DownReason::Closed(_) => true,
            DownReason::Sent(notification) | DownReason::Received(notification) => {
                self.notification_support && notification.error != ErrorCode::HARD_RESET
            }
            DownReason::ConnectFailed(_) => false,
        };
        if kept { self.keeps } else { FamilySet::EMPTY }
    }
}

/// The OPEN we send.
pub(super) fn our_open(config: &SessionConfig) -> Open {
    let graceful_restart = config.graceful_restart.map(|restart_time| GracefulRestart {
        restarting: config.restarting,
        notification: true,
        restart_time: restart_time.min(0x0fff),
        families: config.forwarding.intersection(config.families),
        forwarding: if config.preserved {
            config.forwarding.intersection(config.families)
        } else {
            FamilySet::EMPTY
        },
    });
    Open {
        my_as: config.local_asn.to_two_octets(),
        hold_time: config.hold_time,
        identifier: config.identifier,
        capabilities: Capabilities {
            families: Some(config.families),
            route_refresh: true,
            enhanced_refresh: true,
            extended_next_hop: config.extended_next_hop.intersection(config.families),
            extended_message: config.extended_message,
            four_octet_as: Some(config.local_asn),
            add_path: config.add_path,
            graceful_restart,
            roles: config.role.map(local_role).into_iter().collect(),
            fqdn: config.fqdn.clone(),
            unknown: Vec::new(),
        },
    }
}

/// Judges the peer's OPEN.
///
/// # Errors
/// The NOTIFICATION that refuses it.
pub(super) fn negotiate(config: &SessionConfig, open: &Open) -> Result<Negotiated, Notification> {
    let refuse = |code| Err(Notification::new(code));
    let peer_asn = open.asn();
    if peer_asn == Asn(0) || !config.peer_asn.admits(peer_asn, config.local_asn) {
        // As FRR does: the number that was not expected, for the operator on the other side.
        return Err(Notification::with_data(ErrorCode::BAD_PEER_AS, &peer_asn.0.to_be_bytes()));
    }
    let external = peer_asn != config.local_asn;
    // RFC 6286: the same identifier is an error within one AS alone.
    if open.identifier.0 == 0 || (!external && open.identifier == config.identifier) {
        return refuse(ErrorCode::BAD_BGP_IDENTIFIER);
    }
    if matches!(open.hold_time, 1 | 2) || open.hold_time < config.min_hold_time {
        return refuse(ErrorCode::UNACCEPTABLE_HOLD_TIME);
    }
    let capabilities = &open.capabilities;
    let peer_role = judge_role(config, capabilities)?;
    let ipv4_alone = FamilySet::EMPTY.with(siskin_net::Family::Ipv4);
    let families = config.families.intersection(capabilities.families.unwrap_or(ipv4_alone));
    if families.is_empty() {
        return Err(Notification::with_data(ErrorCode::UNSUPPORTED_CAPABILITY, &wanted_families(config)));
    }
    Ok(agree(config, open, peer_asn, peer_role, families))
}

/// Checks the peer's role against ours (RFC 9234 section 4.2).
fn judge_role(config: &SessionConfig, capabilities: &Capabilities) -> Result<Option<Role>, Notification> {
    let mismatch = || Notification::new(ErrorCode::ROLE_MISMATCH);
    let sent = capabilities.role();
    let Some(expected) = config.role else { return Ok(sent.ok().flatten()) };
    match sent {
        Ok(Some(role)) if role == expected => Ok(Some(role)),
        Ok(None) if !config.strict_role => Ok(None),
        _ => Err(mismatch()),
    }
}

/// The multiprotocol capabilities we asked for, as RFC 5492 section 5 wants them in the refusal.
fn wanted_families(config: &SessionConfig) -> Vec<u8> {
    Capabilities { families: Some(config.families), ..Capabilities::default() }.encode().concat()
}

fn agree(
    config: &SessionConfig,
    open: &Open,
    peer_asn: Asn,
    peer_role: Option<Role>,
    families: FamilySet,
) -> Negotiated {
    let peer = &open.capabilities;
    let external = peer_asn != config.local_asn;
    let hold_time = config.hold_time.min(open.hold_time);
    let four_octet_as = peer.four_octet_as.is_some();
    let extended_message = config.extended_message && peer.extended_message;
    let extended_next_hop =
        config.extended_next_hop.intersection(peer.extended_next_hop).intersection(families);
    let ipv4_by_ipv6 = extended_next_hop.contains(siskin_net::Family::Ipv4);
    let add_path = AddPath {
        receive: config.add_path.receive.intersection(peer.add_path.send).intersection(families),
        send: config.add_path.send.intersection(peer.add_path.receive).intersection(families),
    };
    let restart = peer.graceful_restart.filter(|_| config.graceful_restart.is_some());
    // A peer that is back in no time keeps nothing for anybody.
    let keeps = restart.filter(|r| r.restart_time > 0).map_or(FamilySet::EMPTY, |r| r.families);
    Negotiated {
        local_asn: config.local_asn,
        peer_asn,
        peer_identifier: open.identifier,
        hold_time,
        keepalive: if hold_time == 0 { 0 } else { (hold_time / 3).max(1) },
        families,
        four_octet_as,
        extended_message,
        route_refresh: peer.route_refresh,
        enhanced_refresh: peer.enhanced_refresh,
        extended_next_hop,
        add_path,
        graceful_restart: peer.graceful_restart,
        keeps: keeps.intersection(families),
        kept_by_peer: restart.is_some() && !config.forwarding.intersection(families).is_empty(),
        notification_support: restart.is_some_and(|r| r.notification),
        peer_role,
        fqdn: peer.fqdn.clone(),
        peer_capabilities: peer.clone(),
        decode: DecodeContext {
            four_octet_as,
            families,
            add_path: add_path.receive,
            external,
            extended_next_hop: ipv4_by_ipv6,
            interface: config.interface,
        },
        encode: EncodeContext {
            four_octet_as,
            max_len: if extended_message { EXTENDED_MAX_LEN } else { MAX_LEN },
            extended_next_hop: ipv4_by_ipv6,
            add_path: add_path.send,
            external,
        },
        external,
    }
}
