//! The machine of claims: who owns which address, key (domain, address).
//!
//! Evidence, port and interface events, timers and the operator's word go in; [`Output`]s come out in the order they
//! must be done in. Time is an argument and [`Claims::next_deadline`] says when [`Claims::expire`] wants to be called.
//! [`machine`] holds the table of states, `state` what each of them means, this file who may cause which event (the
//! guard), `table` the storage and its indexes, `ports` the comings and goings of ports and interfaces, `remote` what
//! other routers announce, `declare` what is declared at run time, `saved` what outlives the process.
//!
//! Never, whatever is sent: an address outside the domain's prefixes, two owners of one address, more than the limits.

mod config;
mod declare;
mod domain;
pub mod machine;
mod mobility;
mod output;
mod port;
mod ports;
mod rate;
mod remote;
mod saved;
mod seek;
mod state;
mod table;
mod templates;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use siskin_net::{BgpIdentifier, IfIndex, NamePattern, Timestamp};
use smallvec::SmallVec;

pub use crate::frame::EvidenceKind;
use crate::frame::{FrameError, Sighting};
use crate::mac::Mac;
pub use config::{
    DomainConfig, Filter, Gateway, Guard, Limits, MAX_CLAIMS, MAX_INSTANCES, MOVES, MOVES_WITHIN, Timers, Vm,
    is_host_address,
};
use domain::Domain;
pub use domain::{DomainId, DomainLink};
pub use machine::StateName;
use machine::{Binding, Event, Stand, State};
pub use mobility::{DeclareError, Mobility, Remote, SavedBinding, binding_of};
pub use output::{Action, Notice, NoticeKind, Output, Refusal};
use port::Port;
pub use port::PortCounters;
pub use remote::{MAX_REMOTES, MoveCounters, MoveRecord};
use table::{Claim, Key, Timer};
pub use templates::precedence;
pub use view::{ClaimView, PortView};

/// Moves of one address under the open guard: five at once, then one in this time (RFC 7432 section 15.1 has the
/// same measure).
const MOVE_INTERVAL: Duration = Duration::from_secs(36);
const MOVE_BURST: u32 = 5;

/// Repairs of one address at once, and then one in this time: whoever fights us must not make us busy.
const MEND_INTERVAL: Duration = Duration::from_secs(1);
const MEND_BURST: u32 = 5;

/// Times an address that was not announced becomes so: five at once, then one in this time. With the withdrawals in
/// between these are ten changes a minute in BGP.
const ARRIVAL_INTERVAL: Duration = Duration::from_secs(12);
const ARRIVAL_BURST: u32 = 5;

/// Deadlines dealt with in one call: some 4 ms.
const MAX_EXPIRED: usize = 512;

/// Addresses that one RARP frame takes over from other routers: no VM has more, and digests may collide.
const MAX_REVERSE: usize = 64;

/// Notices of one address: so many at once, then one in this time.
const NOTICE_INTERVAL: Duration = Duration::from_secs(10);
const NOTICE_BURST: u32 = 5;

/// All claims of all domains.
#[derive(Debug, Default)]
pub struct Claims {
    domains: BTreeMap<DomainId, Domain>,
    names: BTreeMap<Arc<str>, DomainId>,
    /// What `configure` was told of patterns, the one that says most about a name first.
    templates: Vec<(NamePattern, Domain)>,
    next_domain: u32,
    interfaces: BTreeMap<IfIndex, DomainId>,
    ports: BTreeMap<IfIndex, Port>,
    port_names: BTreeMap<Arc<str>, IfIndex>,
    claims: BTreeMap<Key, Claim>,
    by_mac: BTreeMap<(DomainId, Mac), SmallVec<[IpAddr; 2]>>,
    by_address: BTreeMap<IpAddr, SmallVec<[DomainId; 1]>>,
    deadlines: BTreeSet<(Timestamp, Timer)>,
    own: BTreeSet<IpAddr>,
    /// Our BGP Identifier.
    identifier: BgpIdentifier,
    /// What other routers announce.
    remotes: BTreeMap<IpAddr, Remote>,
    remotes_by_binding: BTreeMap<u32, SmallVec<[IpAddr; 2]>>,
    /// Sequence numbers of addresses without a claim, and when that ended.
    memory: BTreeMap<IpAddr, (u32, Timestamp)>,
    /// Bindings of a previous run on interfaces that a pattern may yet make domains of.
    unplaced: BTreeMap<Arc<str>, Vec<SavedBinding>>,
    /// The port's name of an owner that was not heard since the start.
    expected: BTreeMap<Key, Arc<str>>,
    history: VecDeque<MoveRecord>,
    move_counters: MoveCounters,
    outputs: Vec<Output>,
    /// Counts what the filter would have to know: owners, ports, configuration.
    revision: u64,
}

impl Claims {
    /// No domain, no port, no claim.
    #[must_use]
    pub fn new() -> Claims {
        Claims::default()
    }

    /// Replaces the configuration. Claims that the new one still allows stay, all others are dropped; domains that
    /// are not named any more go with their ports. A name with `*` or `?` is a template: see
    /// [`Claims::instantiate`].
    pub fn configure(&mut self, domains: Vec<(String, DomainConfig)>, now: Timestamp) {
        self.revision += 1;
        let (patterns, domains): (Vec<_>, Vec<_>) =
            domains.into_iter().partition(|(name, _)| NamePattern::is_pattern(name));
        let keep: BTreeSet<&str> = domains.iter().map(|(name, _)| name.as_str()).collect();
        let rest: Vec<DomainId> =
            self.names.iter().filter(|(name, _)| !keep.contains(&***name)).map(|(_, id)| *id).collect();
        self.set_templates(patterns);
        for id in rest {
            self.follow_template(id, now);
        }
        for (name, config) in domains {
            match self.names.get(name.as_str()).and_then(|id| self.domains.get_mut(id)) {
                Some(domain) => {
                    domain.instance = false;
                    domain.set_config(config);
                }
                None => {
                    let name = Arc::<str>::from(name);
                    self.add_domain(Domain::new(name, config));
                }
            }
        }
        self.recheck(now);
    }

    fn add_domain(&mut self, domain: Domain) -> DomainId {
        let id = DomainId(self.next_domain);
        self.next_domain = self.next_domain.saturating_add(1);
        self.names.insert(domain.name.clone(), id);
        self.domains.insert(id, domain);
        id
    }

    /// Says which addresses are the router's own: no VM may have them. Every port that comes has some; only what
    /// changed is looked at.
    pub fn set_own_addresses(&mut self, own: impl IntoIterator<Item = IpAddr>, now: Timestamp) {
        let before = std::mem::replace(&mut self.own, own.into_iter().collect());
        // No VM can have the others anyway, and every port that comes has one.
        let changed: Vec<IpAddr> =
            self.own.symmetric_difference(&before).copied().filter(|a| is_host_address(*a)).collect();
        self.revision += u64::from(!changed.is_empty());
        for address in changed {
            for key in self.domains.keys().map(|id| (*id, address)).collect::<Vec<_>>() {
                let ended = self.claims.get(&key).is_none_or(|claim| !self.allows(key, claim));
                if ended {
                    self.settle(key, None, now);
                }
            }
        }
    }

    /// Drops what the configuration does not allow any more.
    fn recheck(&mut self, now: Timestamp) {
        let refused: Vec<Key> = self
            .claims
            .iter()
            .filter(|(key, claim)| !self.allows(**key, claim))
            .map(|(key, _)| *key)
            .collect();
        for key in refused {
            self.settle(key, None, now);
        }
        self.await_declared(now);
        let templates = self.templates.iter().map(|(_, template)| template);
        let named = self.domains.values().filter(|domain| !domain.instance);
        let configs: Vec<&DomainConfig> = templates.chain(named).map(|domain| &*domain.config).collect();
        let permitted = |address: &IpAddr| configs.iter().any(|config| config.permits(*address));
        let outside: Vec<IpAddr> = self.remotes.keys().filter(|a| !permitted(a)).copied().collect();
        for address in outside {
            self.forget_remote(address);
        }
        self.hear_all_remotes(now);
        let mut surplus = Vec::new();
        for port in self.ports.values() {
            let limit = self.domains.get(&port.domain).map_or(0, |d| d.config.limits.per_port);
            surplus.extend(port.addresses.iter().skip(limit).map(|address| (port.domain, *address)));
        }
        for key in surplus {
            self.settle(key, None, now);
        }
    }

    /// The domain of an interface's name.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<DomainId> {
        self.names.get(name).copied()
    }

    /// Whether another frame of `port` may be read now; each costs a token.
    pub fn admit_frame(&mut self, port: IfIndex, now: Timestamp) -> bool {
        let Some(port) = self.ports.get_mut(&port) else { return false };
        let Some(limits) = self.domains.get(&port.domain).map(|d| d.config.limits) else { return false };
        let interval = Duration::from_secs(1) / limits.frames_per_second.max(1);
        let admitted = port.frames.take(now, interval, limits.burst);
        let counter = if admitted { &mut port.counters.frames } else { &mut port.counters.throttled };
        *counter += 1;
        admitted
    }

    /// Takes in what a frame read on `port` says, or why it says nothing.
    pub fn sighted(&mut self, port: IfIndex, sighting: Result<Sighting, FrameError>, now: Timestamp) {
        let judged = match sighting {
            Ok(sighting) => self.judge(port, &sighting, now),
            Err(FrameError::Unrelated) => Ok(Judged::Unrelated),
            Err(FrameError::Truncated | FrameError::Malformed(_)) => Err(Refusal::Malformed),
        };
        let Some(at) = self.ports.get_mut(&port) else { return };
        match judged {
            Ok(Judged::Accepted) => at.counters.accepted += 1,
            Ok(Judged::Unrelated) => at.counters.unrelated += 1,
            Err(reason) => {
                let (mac, address) = sighting.map_or((Mac::ZERO, None), |s| (s.mac, s.address));
                self.refuse(Binding { port: Some(port), mac }, address, reason, now);
            }
        }
    }

    /// Counts a refusal, and tells of it once an interval.
    fn refuse(&mut self, who: Binding, address: Option<IpAddr>, reason: Refusal, now: Timestamp) {
        let Some(port) = who.port.and_then(|port| self.ports.get_mut(&port)) else { return };
        if let Some(untold) = port.refuse(reason, now) {
            let domain = port.domain;
            self.notice(domain, who.port, who.mac, address, NoticeKind::Refused(reason, untold));
        }
    }

    /// Counts a Router Advertisement: no VM should send one.
    pub fn router_advertisement(&mut self, port: IfIndex) {
        if let Some(port) = self.ports.get_mut(&port) {
            port.counters.router_advertisements += 1;
        }
    }

    fn judge(&mut self, port: IfIndex, sighting: &Sighting, now: Timestamp) -> Result<Judged, Refusal> {
        let Some(id) = self.ports.get(&port).map(|p| p.domain) else { return Ok(Judged::Unrelated) };
        let Some(domain) = self.domains.get(&id) else { return Ok(Judged::Unrelated) };
        let link = domain.link_up().ok_or(Refusal::InterfaceDown)?;
        if sighting.vlan.is_some() {
            return Err(Refusal::Tagged);
        }
        if sighting.mac == link.mac {
            return Err(Refusal::OurMac);
        }
        self.heard(port, now);
        let Some(address) = sighting.address else { return self.reverse(id, port, sighting, now) };
        if is_link_local(address) && !self.domains.get(&id).is_some_and(|d| d.config.gateway.is(address)) {
            return Ok(Judged::Unrelated);
        }
        self.claimed((id, address), Binding { port: Some(port), mac: sighting.mac }, sighting.kind, now)?;
        Ok(Judged::Accepted)
    }

    /// RARP names a MAC address alone: all addresses declared for it or bound to it are there, and those that another
    /// router announces for it. It is the first that a hypervisor sends for a VM that has moved.
    fn reverse(
        &mut self,
        id: DomainId,
        port: IfIndex,
        seen: &Sighting,
        now: Timestamp,
    ) -> Result<Judged, Refusal> {
        let bound = self.by_mac.get(&(id, seen.mac)).into_iter().flatten().copied();
        let declared = self.domains.get(&id).into_iter().flat_map(|d| d.declared_of(seen.mac));
        let elsewhere = self.announced_elsewhere_for(seen.mac);
        let permitted = |address: &IpAddr| {
            self.domains.get(&id).is_some_and(|domain| domain.permits(*address, seen.mac).is_ok())
        };
        let moved = elsewhere.filter(permitted).take(MAX_REVERSE);
        let addresses: BTreeSet<IpAddr> = bound.chain(declared).chain(moved).collect();
        let mut judged = Ok(Judged::Unrelated);
        for address in addresses {
            let key = (id, address);
            if !matches!(self.claims.get(&key).map(|c| c.state), Some(State::Candidate { .. })) {
                let here = Binding { port: Some(port), mac: seen.mac };
                judged = self.claimed(key, here, seen.kind, now).map(|()| Judged::Accepted);
            }
        }
        judged
    }

    /// The guard: what a claim to `key` by `here` means, and doing it.
    fn claimed(
        &mut self,
        key: Key,
        here: Binding,
        kind: EvidenceKind,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let domain = self.domains.get(&key.0).ok_or(Refusal::InterfaceDown)?;
        if self.own.contains(&key.1) {
            return Err(Refusal::Forbidden);
        }
        domain.permits(key.1, here.mac)?;
        self.expected_at(key, here)?;
        self.may_take_over(key, here.mac)?;
        let open = domain.config.guard == Guard::Open;
        if !self.claims.get(&key).is_some_and(|claim| claim.state.in_kernel())
            && !self.free_elsewhere(key, here, kind, now)?
        {
            return Ok(());
        }
        let Some(claim) = self.claims.get_mut(&key) else { return self.begin(key, here, kind, now) };
        let same_mac = claim.owner.mac == here.mac;
        let same_port = claim.owner.port.is_none_or(|port| Some(port) == here.port);
        let refusal = if same_port { Refusal::WrongMac } else { Refusal::WrongPort };
        let tentative = kind.is_tentative();
        let absent = matches!(claim.state, State::Gone | State::Standby { .. } | State::Moved { .. });
        let candidate = matches!(claim.state, State::Candidate { .. });
        if let State::Frozen { stand } = claim.state {
            let stays = stand != Stand::Here && self.remotes.contains_key(&key.1);
            if stays || !same_mac || !same_port {
                return Err(Refusal::Damped);
            }
        }
        let event = if same_mac && (same_port || absent && tentative) {
            if tentative { Event::OwnerTentative(here) } else { Event::Owner(here) }
        } else if tentative && (!same_mac || candidate) {
            return Err(refusal);
        } else if candidate {
            // Nobody has it yet; whoever does says so.
            Event::Takeover(here)
        } else if open {
            if !claim.move_budget.take(now, MOVE_INTERVAL, MOVE_BURST) {
                return Err(Refusal::Damped);
            }
            Event::Takeover(here)
        } else if same_mac {
            // Even if it only asks whether the address is free: many guests ask once, when they start at another
            // port, and never name the address again.
            Event::Rival(here)
        } else {
            return Err(refusal);
        };
        self.advance(key, event, Some(kind), now)
    }

    /// One address has one owner, also where domains share prefixes. One that is alive in another domain is asked
    /// whether it still is: its own MAC address gets the address there as it would from another port of the same domain
    /// (`false`: that has begun), others when it has proved silent. What is less than alive gives way to its own MAC
    /// address.
    pub(super) fn free_elsewhere(
        &mut self,
        key: Key,
        here: Binding,
        kind: EvidenceKind,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let tentative = kind.is_tentative();
        let anybody = self.is_open(key) && !tentative;
        let holders = self.by_address.get(&key.1).into_iter().flatten();
        let others: SmallVec<[Key; 2]> = holders.filter(|id| **id != key.0).map(|id| (*id, key.1)).collect();
        for other in others {
            let Some(claim) = self.claims.get(&other) else { continue };
            let open_there = self.is_open(other);
            let same_mac = claim.owner.mac == here.mac;
            match claim.state {
                State::Candidate { .. } if tentative => {}
                State::Candidate { .. } => self.settle(other, None, now),
                // It waits for its VM there as here.
                State::Standby { .. } if claim.owner.port.is_none() => {}
                State::Standby { .. } | State::Gone | State::Moved { .. } | State::Unverified { .. }
                    if same_mac =>
                {
                    self.settle(other, None, now);
                }
                State::Active | State::Verify { .. } | State::Contested { .. } if anybody && open_there => {
                    self.take_from(other, here, kind, now)?;
                    return Ok(false);
                }
                State::Active | State::Verify { .. } | State::Contested { .. } if same_mac => {
                    self.port_event(other, Event::Rival(here), now);
                    return Ok(false);
                }
                State::Active => {
                    self.port_event(other, Event::PortBack, now);
                    return Err(Refusal::WrongPort);
                }
                _ => return Err(Refusal::WrongPort),
            }
        }
        Ok(true)
    }

    /// Under the open guard the last to speak has an address, whichever domain it is in.
    fn take_from(
        &mut self,
        key: Key,
        here: Binding,
        kind: EvidenceKind,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(claim) = self.claims.get_mut(&key) else { return Ok(()) };
        if !claim.move_budget.take(now, MOVE_INTERVAL, MOVE_BURST) {
            return Err(Refusal::Damped);
        }
        self.advance(key, Event::Takeover(here), Some(kind), now)
    }

    /// Takes in an entry that a previous run left in the kernel. Returns whether it is wanted: of one that is not,
    /// the removal is among the outputs.
    pub fn adopt(&mut self, interface: IfIndex, address: IpAddr, mac: Mac, now: Timestamp) -> bool {
        let home = self.interfaces.get(&interface).and_then(|id| Some((*id, self.domains.get(id)?)));
        let wanted = home.filter(|(id, domain)| {
            let elsewhere = |d| self.claims.get(&(d, address)).is_some_and(|c| c.state.in_kernel());
            let holders = self.by_address.get(&address);
            mac.is_station()
                && domain.permits(address, mac).is_ok()
                && !self.own.contains(&address)
                && !holders.into_iter().flatten().any(|d| d != id && elsewhere(*d))
                && match self.claims.get(&(*id, address)) {
                    Some(claim) => claim.state.in_kernel() || claim.owner.mac == mac,
                    None => self.claims.len() < MAX_CLAIMS,
                }
        });
        let Some((id, domain)) = wanted else {
            self.outputs.push(Output::Action(Action::Remove { interface, address }));
            return false;
        };
        let key = (id, address);
        let known = self.claims.get(&key);
        if !known.is_some_and(|claim| claim.state.in_kernel()) {
            let live = domain.live_ports > 0 && domain.link_up().is_some();
            // Within two seconds all are probed, not all at once.
            let first_look = Duration::from_millis(8) * u32::from(domain::scatter(mac));
            let sequence = known.map_or(0, |claim| claim.sequence);
            // Whether it is still ours to announce is seen first.
            let remote = self.remotes.get(&address).copied();
            let doubtful = self.expected.get(&key).is_some_and(|name| !self.port_names.contains_key(name));
            let rules = domain.rules(address, mac);
            let step = machine::adopt(mac, live && remote.is_none(), doubtful, first_look, &rules);
            self.insert(key, &step, (interface, EvidenceKind::Adopted, sequence), now);
            if let Some(remote) = remote {
                self.hear_remote(key, remote, now);
                if live {
                    self.port_event(key, Event::PortBack, now);
                }
            }
        }
        true
    }

    /// Drops the claim to `address`, on the operator's word; `false`: there was none.
    pub fn remove(&mut self, domain: &str, address: IpAddr, now: Timestamp) -> bool {
        let Some(id) = self.domain(domain) else { return false };
        let known = self.claims.contains_key(&(id, address));
        self.settle((id, address), None, now);
        known
    }

    /// Somebody removed or changed our route or neighbour entry for `address`: if it is still wanted, it is
    /// installed again.
    pub fn kernel_mismatch(&mut self, interface: IfIndex, address: IpAddr, now: Timestamp) {
        let Some(id) = self.interfaces.get(&interface).copied() else { return };
        let Some(claim) = self.claims.get_mut(&(id, address)) else { return };
        if claim.state.in_kernel() && claim.mend_budget.take(now, MEND_INTERVAL, MEND_BURST) {
            let owner = claim.owner;
            self.outputs.push(Output::Action(Action::Install { interface, address, mac: owner.mac }));
            self.notice(id, owner.port, owner.mac, Some(address), NoticeKind::Mended);
        }
    }

    /// When [`Claims::expire`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Does what is due; of very much only a part, so that frames are read in between: [`Claims::next_deadline`] is
    /// in the past then.
    pub fn expire(&mut self, now: Timestamp) {
        let due: Vec<(Timestamp, Timer)> =
            self.deadlines.iter().take_while(|(at, _)| *at <= now).take(MAX_EXPIRED).copied().collect();
        for timer in due {
            // An earlier one of these may have moved this one.
            if self.deadlines.remove(&timer) {
                match timer.1 {
                    Timer::Claim(key) => self.claim_due(key, now),
                    Timer::Carrier(port) => self.carrier_due(port, now),
                    Timer::Greeting(port) => self.greeting_due(port, now),
                    Timer::Seek(domain) => self.seek_due(domain, now),
                    Timer::Mark(key) => self.mark_due(key, now),
                }
            }
        }
    }

    /// What is to be done since the last call, in order.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    fn notice(
        &mut self,
        id: DomainId,
        port: Option<IfIndex>,
        mac: Mac,
        address: Option<IpAddr>,
        kind: NoticeKind,
    ) {
        if let Some(domain) = self.domains.get(&id) {
            let notice = Notice { domain: domain.name.clone(), port, mac, address, kind };
            self.outputs.push(Output::Action(Action::Notice(notice)));
        }
    }
}

/// What became of a sighting that was not refused.
enum Judged {
    Accepted,
    Unrelated,
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests;
