//! Ports and interfaces that come, go, and lose their carrier; the gateway's announcements to them.

use std::sync::Arc;
use std::time::Duration;

use siskin_net::{IfIndex, Timestamp};

use super::Claims;
use super::domain::{DomainId, DomainLink};
use super::machine::{Event, State};
use super::output::Output;
use super::port::{GREETING_DELAY, GREETING_GAPS, Greeting, Port};
use super::table::{Key, Timer};

/// How late the news of a port's carrier may come: the kernel tells of a hundred ports a second, and thousands may come
/// at once.
const CARRIER_NEWS: Duration = Duration::from_secs(60);

impl Claims {
    /// The interface of a domain came, changed or (`None`) went. An interface with another index is another one: its
    /// predecessor's ports and claims go first.
    pub fn set_link(&mut self, id: DomainId, link: Option<DomainLink>, now: Timestamp) {
        let Some(was) = self.domains.get(&id).map(|d| d.link) else { return };
        if link.is_none() || was.is_some_and(|was| Some(was.index) != link.map(|l| l.index)) {
            for port in self.ports_of(id) {
                self.port_gone(port, now);
            }
            for key in self.keys_of(id) {
                self.settle(key, None, now);
            }
        }
        if let Some(domain) = self.domains.get_mut(&id) {
            domain.link = link;
        }
        self.revision += u64::from(was != link);
        if let Some(index) = was.map(|l| l.index).filter(|index| self.interfaces.get(index) == Some(&id)) {
            self.interfaces.remove(&index);
        }
        if let Some(link) = link {
            self.interfaces.insert(link.index, id);
        }
        let was_up = was.is_some_and(|l| l.up);
        let is_up = link.is_some_and(|l| l.up);
        if was_up && !is_up {
            self.link_lost(id, now);
        } else if !was_up && is_up {
            for key in self.keys_of(id) {
                self.port_back(key, now);
            }
            self.presume_all(id, now);
        }
        let mac = |link: Option<DomainLink>| link.map(|l| l.mac);
        if is_up && was.is_some() && mac(was) != mac(link) {
            for port in self.ports_of(id) {
                self.greet(port, now);
            }
        }
    }

    /// An interface that is down has lost its routes and neighbour entries in the kernel, all of them.
    fn link_lost(&mut self, id: DomainId, now: Timestamp) {
        for key in self.keys_of(id) {
            self.port_event(key, Event::PortLost, now);
            match self.claims.get(&key).map(|c| c.state) {
                Some(State::Unverified { .. }) => self.settle(key, None, now),
                // The rival of a contested claim is behind the same interface.
                Some(state) if state.in_kernel() => self.port_event(key, Event::PortLost, now),
                _ => {}
            }
        }
    }

    fn port_back(&mut self, key: Key, now: Timestamp) {
        let live = self.domains.get(&key.0).is_some_and(|d| d.live_ports > 0 && d.link_up().is_some());
        let port = self.claims.get(&key).and_then(|c| c.owner.port);
        let owner_up = port.is_none_or(|p| self.ports.get(&p).is_some_and(|p| p.up));
        if live && owner_up {
            self.port_event(key, Event::PortBack, now);
        }
    }

    /// A port of a domain came or changed; `up` means administratively up and with carrier.
    pub fn set_port(&mut self, index: IfIndex, name: &Arc<str>, id: DomainId, up: bool, now: Timestamp) {
        if self.ports.get(&index).is_some_and(|port| port.domain != id) {
            self.port_gone(index, now);
        }
        if !self.domains.contains_key(&id) {
            return;
        }
        if self.ports.get(&index).is_none_or(|port| port.name != *name) {
            self.revision += 1;
        }
        let port = self.ports.entry(index).or_insert_with(|| Port::new(id, name.clone()));
        let renamed = (port.name != *name).then(|| std::mem::replace(&mut port.name, name.clone()));
        self.port_names.insert(name.clone(), index);
        if let Some(before) = renamed {
            self.unname(&before, index);
        }
        let Some(port) = self.ports.get_mut(&index) else { return };
        let was_up = std::mem::replace(&mut port.up, up);
        if up && !was_up {
            self.port_came_up(index, id, now);
        } else if !up
            && was_up
            && let Some(domain) = self.domains.get_mut(&id)
        {
            domain.live_ports = domain.live_ports.saturating_sub(1);
            let delay = domain.config.timers.carrier_delay;
            self.arm_carrier(index, delay, now);
        }
    }

    fn port_came_up(&mut self, index: IfIndex, id: DomainId, now: Timestamp) {
        self.disarm_carrier(index);
        let Some(domain) = self.domains.get_mut(&id) else { return };
        domain.live_ports += 1;
        let first = domain.live_ports == 1;
        // The first live port is also the sign that adopted claims, which have no port yet, waited for.
        let keys = if first { self.keys_of(id) } else { self.keys_on(index) };
        for key in keys {
            let port = self.claims.get(&key).and_then(|c| c.owner.port);
            if port.is_none_or(|port| port == index) {
                self.port_back(key, now);
            }
        }
        self.greet(index, now);
        self.presume(index, now);
        self.seek(id, now);
    }

    /// Somebody switched a port off: unlike one without carrier, whose guest may be rebooting, its VM is not reached, and
    /// mostly the port is about to be deleted.
    pub fn port_switched_off(&mut self, index: IfIndex, now: Timestamp) {
        if self.ports.get(&index).is_some_and(|port| !port.up && port.carrier_deadline.is_some()) {
            self.disarm_carrier(index);
            self.carrier_due(index, now);
        }
    }

    /// A port went, or left its bridge: its addresses are withdrawn at once, and bound to nobody.
    pub fn port_gone(&mut self, index: IfIndex, now: Timestamp) {
        if let Some(port) = self.ports.get_mut(&index) {
            let (id, was_up) = (port.domain, std::mem::replace(&mut port.up, false));
            if let Some(domain) = self.domains.get_mut(&id).filter(|_| was_up) {
                domain.live_ports = domain.live_ports.saturating_sub(1);
            }
        }
        for key in self.keys_on(index) {
            self.port_event(key, Event::PortGone, now);
        }
        self.disarm_carrier(index);
        if let Some(port) = self.ports.remove(&index) {
            self.revision += 1;
            self.unname(&port.name, index);
            self.set_timer(Timer::Greeting(index), port.greeting.map(|g| g.due), None);
        }
    }

    fn unname(&mut self, name: &Arc<str>, index: IfIndex) {
        if self.port_names.get(name) == Some(&index) {
            self.port_names.remove(name);
        }
    }

    /// A frame came from `port`. If it is not known to be up, the frame was faster than the event that says so; if no
    /// such event follows in [`CARRIER_NEWS`], its VM counts as gone like that of any port without carrier.
    pub(super) fn heard(&mut self, index: IfIndex, now: Timestamp) {
        if self.ports.get(&index).is_some_and(|port| !port.up && port.carrier_deadline.is_none()) {
            self.arm_carrier(index, CARRIER_NEWS, now);
        }
    }

    fn arm_carrier(&mut self, index: IfIndex, delay: Duration, now: Timestamp) {
        let Some(port) = self.ports.get_mut(&index) else { return };
        let at = now + delay;
        let was = port.carrier_deadline.replace(at);
        self.set_timer(Timer::Carrier(index), was, Some(at));
    }

    fn disarm_carrier(&mut self, index: IfIndex) {
        if let Some(port) = self.ports.get_mut(&index) {
            let was = port.carrier_deadline.take();
            self.set_timer(Timer::Carrier(index), was, None);
        }
    }

    pub(super) fn carrier_due(&mut self, index: IfIndex, now: Timestamp) {
        if let Some(port) = self.ports.get_mut(&index) {
            port.carrier_deadline = None;
        }
        for key in self.keys_on(index) {
            self.port_event(key, Event::PortLost, now);
        }
    }

    /// Announces the gateway on a port now, and twice more in the next second.
    pub(super) fn greet(&mut self, index: IfIndex, now: Timestamp) {
        self.announce_gateway(index, 0, now);
    }

    /// The same once the kernel has had time to take in the route of an arrival.
    pub(super) fn greet_arrival(&mut self, index: IfIndex, now: Timestamp) {
        let Some(port) = self.ports.get_mut(&index) else { return };
        let due = now + GREETING_DELAY;
        let was = port.greeting.replace(Greeting { passed: 0, due });
        self.set_timer(Timer::Greeting(index), was.map(|g| g.due), Some(due));
    }

    pub(super) fn greeting_due(&mut self, index: IfIndex, now: Timestamp) {
        let Some(greeting) = self.ports.get(&index).and_then(|port| port.greeting) else { return };
        self.announce_gateway(index, greeting.passed, now);
    }

    fn announce_gateway(&mut self, index: IfIndex, passed: usize, now: Timestamp) {
        let Some(port) = self.ports.get_mut(&index) else { return };
        let next = GREETING_GAPS
            .get(passed)
            .map(|gap| Greeting { passed: passed.saturating_add(1), due: now + *gap });
        let was = std::mem::replace(&mut port.greeting, next);
        let domain = self.domains.get(&port.domain).filter(|d| d.link_up().is_some());
        if let Some(from) = domain.and_then(|d| d.gateway()) {
            self.outputs.push(Output::AnnounceGateway { via: index, from });
        }
        self.set_timer(Timer::Greeting(index), was.map(|g| g.due), next.map(|g| g.due));
    }

    pub(super) fn ports_of(&self, id: DomainId) -> Vec<IfIndex> {
        self.ports.iter().filter(|(_, port)| port.domain == id).map(|(index, _)| *index).collect()
    }

    fn keys_on(&self, index: IfIndex) -> Vec<Key> {
        let port = self.ports.get(&index);
        port.map(|p| p.addresses.iter().map(|a| (p.domain, *a)).collect()).unwrap_or_default()
    }

    pub(super) fn keys_of(&self, id: DomainId) -> Vec<Key> {
        let first = (id, std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        self.claims.range(first..).take_while(|((d, _), _)| *d == id).map(|(key, _)| *key).collect()
    }
}
