//! `GET /v1/peers` and what can be done to a peer.

use std::net::Ipv4Addr;
use std::sync::Arc;

use siskin_api::{
    ActionDone, ApiError, Capabilities, LimitSource, LimitState, MaxPrefix, MessageCounts, Messages,
    PeerAction, PeerDetail, PeerFamily, PeerKind, PeerState, PeerSummary, RoleState, Timers,
};
use siskin_bgp::session::{AdminStop, Negotiated};
use siskin_bgp::wire::MessageType;
use siskin_config::{AsnRule, MaxPrefixSource, Peer, PolicyChoice, RpkiMode};
use siskin_net::{Family, FamilyMap, PeerId, Role, Timestamp};
use siskin_rib::PeerCounts;

use super::stopping;
use crate::clock;
use crate::daemon::Daemon;
use crate::http::Answer;
use crate::peer::{Control, Extras, Profiles, SessionView, lock};

/// What is copied of a peer before the RIB is asked about it.
struct Seen {
    id: PeerId,
    config: Arc<Peer>,
    view: SessionView,
    state: PeerState,
    waiting: bool,
    extras: Extras,
    restart_at: Option<Timestamp>,
}

impl Daemon {
    /// Every peer, or the one of that name, by name.
    pub(super) async fn peer_details(&self, name: Option<&str>) -> Answer<Vec<PeerDetail>> {
        let seen: Vec<Seen> = {
            let peers = lock(&self.peers);
            let wanted = peers.iter().filter(|(n, _)| name.is_none_or(|name| name == **n));
            wanted
                .map(|(_, e)| Seen {
                    id: e.id,
                    config: e.config.clone(),
                    view: e.shared.view(),
                    state: e.shared.state(e.down),
                    waiting: e.is_waiting(),
                    extras: e.extras.clone(),
                    restart_at: e.restart_at,
                })
                .collect()
        };
        let ids: Vec<PeerId> = seen.iter().map(|s| s.id).collect();
        let counts = self
            .rib
            .query(move |rib| ids.iter().map(|id| (rib.peer_counts(*id), rib.stale(*id))).collect::<Vec<_>>())
            .await
            .ok_or_else(stopping)?;
        let now = clock::now();
        let gate_closed = self.sources.facts.load().gate_closed;
        Ok(seen
            .into_iter()
            .zip(counts)
            .map(|(seen, counts)| detail(seen, &counts, now, gate_closed))
            .collect())
    }

    /// Does something to a peer.
    pub(super) fn act_on_peer(&self, name: &str, action: PeerAction) -> Answer<ActionDone> {
        let mut peers = lock(&self.peers);
        let Some(entry) = peers.get_mut(name) else {
            return Err(ApiError::not_found(format!("there is no peer named {name}")));
        };
        let established = entry.shared.state(entry.down) == PeerState::Established;
        let waiting = entry.is_waiting();
        let needs_session = matches!(action, PeerAction::RefreshIn | PeerAction::RefreshOut);
        if needs_session && !established {
            return Err(ApiError::refused(format!("{name} has no established session")));
        }
        if action == PeerAction::RefreshIn && !entry.shared.view().negotiated.is_some_and(|n| n.route_refresh)
        {
            return Err(ApiError::refused(format!(
                "{name} does not know route refresh (RFC 2918); `siskin peer {name} restart` does the same"
            )));
        }
        let (told, text) = match action {
            PeerAction::Up => {
                (entry.down, entry.restart_at) = (false, None);
                (entry.tell(Control::Start), "the session is being established")
            }
            PeerAction::Down => {
                (entry.down, entry.restart_at) = (true, None);
                (
                    entry.tell(Control::Stop(AdminStop::Shutdown(String::new()))),
                    "the session is closed until `up`",
                )
            }
            PeerAction::Restart => {
                (entry.down, entry.restart_at) = (false, None);
                let stopped = entry.tell(Control::Stop(AdminStop::Reset(String::new())));
                (stopped && entry.tell(Control::Start), "the session is closed and established again")
            }
            PeerAction::RefreshIn => {
                (entry.tell(Control::RefreshIn), "the peer was asked for all its routes")
            }
            PeerAction::RefreshOut => (entry.tell(Control::RefreshOut), "the peer is sent all routes again"),
            PeerAction::Drain | PeerAction::Undrain => {
                drop(peers);
                return self.act_on_drain(name, action);
            }
        };
        if !told && !waiting {
            return Err(ApiError::unavailable(format!("{name} has too much to do; try again")));
        }
        let text = if waiting { "noted; the peer waits for its interface" } else { text };
        Ok(ActionDone { peer: name.into(), action, text: text.into() })
    }
}

impl Daemon {
    fn act_on_drain(&self, name: &str, action: PeerAction) -> Answer<ActionDone> {
        let drained = action == PeerAction::Drain;
        let done = self.drain_peer(name, drained);
        let text = match (drained, done) {
            (true, _) => "the peer is told to look for other ways, and nothing more in a minute",
            (false, true) => "the peer is told our routes again",
            (false, false) => "the peer stays drained: `drain` of the configuration or of the router holds",
        };
        Ok(ActionDone { peer: name.into(), action, text: text.into() })
    }
}

fn detail(
    seen: Seen,
    (counts, stale): &(FamilyMap<PeerCounts>, FamilyMap<u64>),
    now: Timestamp,
    gate_closed: bool,
) -> PeerDetail {
    let Seen { config, view, state, waiting, extras, restart_at, .. } = seen;
    let negotiated = view.negotiated.as_deref().filter(|_| state == PeerState::Established);
    let settings = &config.session;
    let families = settings
        .families
        .iter()
        .map(|family| {
            let limits = LimitsOf { config: &config, extras: &extras, restart_at, now };
            PeerFamily {
                stale: stale[family],
                ..family_of(family, limits, &view, negotiated, &counts[family])
            }
        })
        .collect();
    let asn = match (&settings.asn, &view.negotiated) {
        (_, Some(negotiated)) => Some(negotiated.peer_asn),
        (AsnRule::Is(asn), None) => Some(asn.to_owned()),
        (AsnRule::Internal, None) => Some(settings.local_asn),
        (AsnRule::External | AsnRule::OneOf(_), None) => None,
    };
    let hint = if waiting {
        let interface = config.endpoint.interface().unwrap_or("its interface");
        Some(format!("waits for {interface}, which does not exist yet"))
    } else if negotiated.is_none() && stale.iter().any(|(_, count)| *count > 0) {
        let count: u64 = stale.iter().map(|(_, count)| count).sum();
        Some(format!("may be restarting: its {count} prefixes stay in use for a while (RFC 4724)"))
    } else {
        let waits = gate_closed && config.routes.rpki != RpkiMode::Off;
        let gate = || waits.then(|| "takes nothing until there are RPKI data (rpki-gate)".to_owned());
        Profiles::hint(&config, &extras).or_else(gate)
    };
    let summary = PeerSummary {
        name: config.name.clone(),
        description: config.description.clone(),
        group: config.group.clone(),
        address: config.endpoint.address(),
        interface: config.endpoint.interface().map(str::to_owned),
        asn,
        local_asn: settings.local_asn,
        kind: Some(match settings.kind() {
            siskin_config::PeerKind::Internal => PeerKind::Internal,
            siskin_config::PeerKind::External => PeerKind::External,
        }),
        role: settings.role,
        role_state: role_state(settings.role, negotiated),
        state,
        uptime_s: view.established_since.map(|at| now.since(at).as_secs()),
        since_s: view.since.map(|at| now.since(at).as_secs()),
        drained: extras.drain != siskin_rib::Drain::No,
        families,
        last_error: view.last_error.clone(),
        hint,
    };
    PeerDetail {
        summary,
        router_id: view.negotiated.as_ref().map(|n| Ipv4Addr::from_bits(n.peer_identifier.0)),
        local_address: view.ends.map(|(local, _)| local.to_string()),
        remote_address: view.ends.map(|(_, remote)| remote.to_string()),
        passive: settings.passive,
        import: policy_name(&config.routes.import),
        export: policy_name(&config.routes.export),
        capabilities: capabilities(&config, &view, negotiated),
        timers: timers(&config, &view, negotiated, state, now),
        messages: messages(&view),
        established_count: view.established_count,
        dropped_count: view.dropped_count,
    }
}

/// What the limits of a peer are made of.
#[derive(Clone, Copy)]
struct LimitsOf<'a> {
    config: &'a Peer,
    extras: &'a Extras,
    restart_at: Option<Timestamp>,
    now: Timestamp,
}

impl LimitsOf<'_> {
    /// A limit as it stands: `received` prefixes and `counted` ones (accepted, or advertised), with those kept out.
    fn view(
        self,
        config: Option<&siskin_config::MaxPrefix>,
        family: Family,
        (received, refused): (u64, u64),
        (counted, blocked): (u64, u64),
    ) -> Option<MaxPrefix> {
        let config = config?;
        let limits = self.extras.limits(Some(config))[family];
        let (limit, received_limit) = (limits.accepted.map(u64::from), limits.received.map(u64::from));
        if limit.is_none() && received_limit.is_none() {
            return None;
        }
        let percent =
            |count: u64, limit: Option<u64>| limit.map_or(0, |l| (count * 100).checked_div(l).unwrap_or(100));
        let reached = percent(counted + blocked, limit).max(percent(received + refused, received_limit));
        let beyond = |count: u64, limit: Option<u64>| limit.is_some_and(|limit| count > limit);
        let over = beyond(counted + blocked, limit) || beyond(received + refused, received_limit);
        Some(MaxPrefix {
            limit,
            received_limit,
            source: match config.source {
                MaxPrefixSource::Limits(_) => LimitSource::Config,
                MaxPrefixSource::PeeringDb(_) => LimitSource::PeeringDb,
            },
            warn_at: config.warn_at,
            action: limit_action(&config.action).into(),
            reached_percent: reached,
            state: match () {
                () if blocked + refused > 0 => LimitState::Blocked,
                () if over || self.restart_at.is_some() => LimitState::Over,
                () if reached >= u64::from(config.warn_at) => LimitState::Warning,
                () => LimitState::Ok,
            },
            restarts_in_s: self.restart_at.map(|at| at.since(self.now).as_secs()),
        })
    }
}

fn family_of(
    family: Family,
    limits: LimitsOf<'_>,
    view: &SessionView,
    negotiated: Option<&Negotiated>,
    counts: &PeerCounts,
) -> PeerFamily {
    let (paths, routes) = (&counts.paths, &limits.config.routes);
    PeerFamily {
        family,
        negotiated: negotiated.is_some_and(|n| n.families.contains(family)),
        received: paths.received,
        accepted: paths.accepted,
        filtered: paths.received.saturating_sub(paths.accepted),
        blocked: paths.blocked + paths.refused,
        best: paths.selected,
        stale: 0,
        advertised: counts.advertised,
        pending: counts.pending,
        end_of_rib: view.end_of_rib.contains(family),
        max_prefix: limits.view(
            routes.max_prefix.as_ref(),
            family,
            (paths.received, paths.refused),
            (paths.accepted, paths.blocked),
        ),
        max_prefix_out: limits.view(
            routes.max_prefix_out.as_ref(),
            family,
            (0, 0),
            (counts.advertised, counts.held),
        ),
    }
}

fn limit_action(action: &siskin_config::LimitAction) -> &'static str {
    match action {
        siskin_config::LimitAction::Warn => "warn",
        siskin_config::LimitAction::Block => "block",
        siskin_config::LimitAction::Restart { .. } => "restart",
        siskin_config::LimitAction::Shutdown => "shutdown",
    }
}

/// What the peer said of its role, where we have one for it.
fn role_state(role: Option<Role>, negotiated: Option<&Negotiated>) -> Option<RoleState> {
    let (Some(_), Some(negotiated)) = (role, negotiated) else { return None };
    Some(if negotiated.peer_role.is_some() { RoleState::Agreed } else { RoleState::Unconfirmed })
}

fn policy_name(choice: &PolicyChoice) -> Option<String> {
    choice.policy().map(|p| p.name().to_owned())
}

fn capabilities(config: &Peer, view: &SessionView, negotiated: Option<&Negotiated>) -> Capabilities {
    let mut local: Vec<String> =
        config.session.families.iter().map(|f| format!("multiprotocol ({f}-unicast)")).collect();
    local.extend(
        ["route refresh", "enhanced route refresh", "extended message", "four-octet AS"].map(str::to_owned),
    );
    if config.session.extended_next_hop {
        local.push("extended next hop (ipv4-unicast)".to_owned());
    }
    local.extend(config.session.graceful_restart.map(|_| "graceful restart".to_owned()));
    let remote = view.negotiated.as_ref().map(|n| n.peer_capabilities.describe()).unwrap_or_default();
    let mut in_use = Vec::new();
    if let Some(n) = negotiated {
        in_use.extend(n.families.iter().map(|f| format!("multiprotocol ({f}-unicast)")));
        let optional = [
            (n.route_refresh, "route refresh"),
            (n.enhanced_refresh, "enhanced route refresh"),
            (n.extended_message, "extended message"),
            (n.four_octet_as, "four-octet AS"),
        ];
        in_use.extend(optional.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()));
        if n.kept_by_peer || !n.keeps.is_empty() {
            in_use.push("graceful restart".to_owned());
        }
        in_use.extend(n.extended_next_hop.iter().map(|f| format!("extended next hop ({f}-unicast)")));
    }
    Capabilities { local, remote, negotiated: in_use }
}

fn timers(
    config: &Peer,
    view: &SessionView,
    negotiated: Option<&Negotiated>,
    state: PeerState,
    now: Timestamp,
) -> Timers {
    let remaining = view.deadline.map(|at| at.since(now).as_secs());
    let waiting = matches!(state, PeerState::Idle | PeerState::Active | PeerState::Connect);
    Timers {
        hold_time_s: negotiated.map_or(config.session.hold_time.as_secs(), |n| u64::from(n.hold_time)),
        keepalive_s: negotiated.map_or(config.session.hold_time.as_secs() / 3, |n| u64::from(n.keepalive)),
        hold_remaining_s: None,
        retry_in_s: remaining.filter(|_| waiting),
    }
}

fn messages(view: &SessionView) -> Messages {
    let count = |of: &dyn Fn(MessageType) -> u64, bytes| MessageCounts {
        open: of(MessageType::Open),
        update: of(MessageType::Update),
        notification: of(MessageType::Notification),
        keepalive: of(MessageType::Keepalive),
        route_refresh: of(MessageType::RouteRefresh),
        bytes,
    };
    let mut sent = count(&|kind| view.counters.sent(kind), view.bytes_sent);
    sent.update += view.updates_sent;
    Messages { received: count(&|kind| view.counters.received(kind), view.bytes_received), sent }
}
