//! What others do to our routes, and how it is mended.

use std::time::Instant;

use siskin_net::Family;

use super::Fib;
use super::place::Place;
use super::table::{GroupId, NONE};
use super::write::HEAL_FIRST;
use crate::PROTOCOL;
use crate::event::{KernelEvent, KernelRoute};
use crate::wire::link::Link;

impl Fib {
    /// Takes note of an event. Routes of ours that others deleted or replaced are wanted again, objects that went with a
    /// link are looked for, refused routes are tried again when a link or address comes; [`Fib::write`] then does it.
    pub fn on_event(&mut self, event: &KernelEvent) {
        match event {
            KernelEvent::Link { link, deleted } => self.on_link(link, *deleted),
            KernelEvent::Address { address, deleted } => {
                let ours =
                    self.book.config.prefsrc.iter().any(|(_, source)| *source == Some(address.address));
                if *deleted && ours {
                    // IPv4 routes go with their preferred source, IPv6 ones lose it: nobody says so.
                    self.resync_at = Some(Instant::now());
                } else if !*deleted {
                    self.hurry();
                }
            }
            KernelEvent::Route { port, .. } if *port == self.channel.port() => {}
            KernelEvent::Route { route, deleted, replaced, .. } => {
                if let Some(table) = self.book.tables.find(route.table) {
                    self.on_route(Place { table, prefix: route.prefix }, route, *deleted, *replaced);
                }
            }
            KernelEvent::Neighbor { neighbor, deleted } => self.neighbors.on_event(neighbor, *deleted),
            KernelEvent::Bridge(_) => {}
            KernelEvent::OurRules => self.rules.doubt(),
            KernelEvent::NextHop { nexthop } => {
                self.book.objects.suspect |= self.book.objects.owns(nexthop.id)
            }
            KernelEvent::NextHopDeleted { id } => {
                let objects = &mut self.book.objects;
                if objects.owns(*id) {
                    objects.suspect = true;
                    objects.struck.insert(*id);
                }
            }
            KernelEvent::Overrun => {
                self.resync_at = Some(Instant::now());
                self.neighbors.doubt();
                self.rules.doubt();
                self.book.objects.forget_links();
                self.hurry();
            }
        }
    }

    fn on_link(&mut self, link: &Link, deleted: bool) {
        let usable = !deleted && link.usable();
        self.neighbors.on_link(link.index, link.up, deleted);
        if !usable && !self.book.foreign.is_empty() {
            // What was in our way may have gone with the link: the kernel does not say so of IPv4 routes.
            self.book.failures.hurry(Instant::now());
        }
        if !self.book.objects.link(link.index, usable, deleted) {
            return;
        }
        if usable {
            self.hurry();
        }
        if !self.book.objects.enabled {
            // Whether the kernel kept the routes depends on family, carrier and siblings: they are written anew.
            let groups = self.book.objects.groups_on(link.index);
            let concerns = |id: GroupId| groups.contains(&id);
            for place in self.book.select(|cell| concerns(cell.installed) || concerns(cell.wanted)) {
                self.book.doubt(place);
            }
            if usable {
                self.book.unblocked(&groups);
            }
        }
    }

    /// Objects that are gone or changed are made anew at once.
    pub(super) fn hurry_objects(&mut self) {
        self.heal_at = Some(Instant::now());
        self.heal_wait = HEAL_FIRST;
    }

    /// Something that may have been the cause of refusals has changed.
    fn hurry(&mut self) {
        let now = Instant::now();
        self.book.failures.hurry(now);
        if self.book.objects.incomplete {
            self.hurry_objects();
        }
    }

    fn on_route(&mut self, place: Place, route: &KernelRoute, deleted: bool, replaced: bool) {
        if route.metric != self.book.metric(place.family()) {
            return;
        }
        let cell = self.book.cell(place);
        match (route.protocol == PROTOCOL, deleted) {
            // IPv6 may have several of one metric, and of a multipath perhaps only one hop went.
            (true, true) if place.family() == Family::Ipv6 => self.book.several(place),
            (true, true) if cell.wanted == NONE => self.book.vanished(place),
            (true, true) => self.book.disturbed(place),
            (true, false) => {
                if replaced {
                    self.book.foreign.remove(&place);
                }
                if cell.installed == NONE { self.book.stray(place) } else { self.book.several(place) }
            }
            (false, false) => {
                self.book.foreign.insert(place, route.protocol);
                // `replace` does not look at the protocol: ours is gone, unless another one had to give way.
                if replaced && cell.installed != NONE {
                    self.book.several(place);
                }
            }
            (false, true) => {
                self.book.foreign.remove(&place);
                self.book.retry(place);
            }
        }
    }
}
