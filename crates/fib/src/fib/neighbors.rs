//! Permanent neighbour entries of ours: ARP and ND answers for machines that we know better than the kernel.

use std::io;
use std::net::IpAddr;

use foldhash::HashMap;
use siskin_net::IfIndex;

use super::Fib;
use crate::PROTOCOL;
use crate::channel::Channel;
use crate::error::{FibError, KernelError};
use crate::wire::neighbor::{self, KernelNeighbor};
use crate::wire::{AF_UNSPEC, batch::Batch};

/// How many requests go together.
const BATCHED: usize = 512;

/// A neighbour entry of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OurNeighbor {
    /// The interface.
    pub interface: IfIndex,
    /// The neighbour's address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: [u8; 6],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    mac: [u8; 6],
    /// Somebody removed or changed it, or its link went down: to be written again.
    lost: bool,
}

/// What entries of ours the kernel should have, by interface.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    entries: HashMap<IfIndex, HashMap<IpAddr, Entry>>,
    /// Some entry is lost and may be written.
    due: bool,
}

/// What a dump showed.
#[derive(Default)]
struct Seen {
    /// Of entries that should be there the MAC address; `None`: they are not permanent, or not ours.
    wanted: HashMap<(IfIndex, IpAddr), Option<[u8; 6]>>,
    /// Ours, and not wanted.
    surplus: Vec<(IfIndex, IpAddr)>,
}

impl Neighbors {
    /// Takes over the entries of a previous run.
    pub(super) fn adopt(&mut self, channel: &mut Channel) -> Result<(), FibError> {
        let build = |batch: &mut Batch| neighbor::dump(batch, AF_UNSPEC);
        channel.dump(
            "reading neighbours",
            build,
            self,
            |n| n.entries.clear(),
            |n, message| {
                if let Some(KernelNeighbor {
                    interface,
                    address: Some(address),
                    mac: Some(mac),
                    protocol,
                    ..
                }) = KernelNeighbor::decode(message)
                    && protocol == PROTOCOL
                {
                    n.insert(interface, address, mac);
                }
            },
        )
    }

    fn insert(&mut self, interface: IfIndex, address: IpAddr, mac: [u8; 6]) {
        self.entries.entry(interface).or_default().insert(address, Entry { mac, lost: false });
    }

    pub(super) fn on_event(&mut self, neighbor: &KernelNeighbor, deleted: bool) {
        let entries = self.entries.get_mut(&neighbor.interface);
        if let (Some(entries), Some(address)) = (entries, neighbor.address)
            && let Some(entry) = entries.get_mut(&address)
        {
            let intact = !deleted && neighbor.permanent && neighbor.mac == Some(entry.mac);
            entry.lost = !intact;
            self.due |= !intact;
        }
    }

    /// The kernel forgets entries when their interface is switched off.
    pub(super) fn on_link(&mut self, interface: IfIndex, up: bool, deleted: bool) {
        if deleted {
            self.entries.remove(&interface);
            return;
        }
        for entry in self.entries.get_mut(&interface).into_iter().flat_map(HashMap::values_mut) {
            entry.lost |= !up;
            self.due |= up && entry.lost;
        }
    }

    /// Events were lost: writes all again.
    pub(super) fn doubt(&mut self) {
        for entry in self.entries.values_mut().flat_map(HashMap::values_mut) {
            entry.lost = true;
            self.due = true;
        }
    }

    /// Writes lost entries again. What is refused waits for the next event of its interface, or comparison.
    ///
    /// # Errors
    /// When the exchange with the kernel failed.
    pub(super) fn restore(&mut self, channel: &mut Channel, batch: &mut Batch) -> io::Result<()> {
        if !self.due {
            return Ok(());
        }
        let mut lost = Vec::new();
        for (interface, entries) in &mut self.entries {
            lost.extend(
                entries.iter_mut().filter(|(_, e)| e.lost).map(|(address, e)| (*interface, *address, e)),
            );
        }
        for part in lost.chunks_mut(BATCHED) {
            channel.prepare(batch);
            for (interface, address, entry) in part.iter() {
                neighbor::put(batch, *interface, *address, entry.mac, PROTOCOL);
            }
            let mut refused = Vec::new();
            channel.exchange(batch, |number, error| refused.push((number, error)))?;
            for (number, (interface, address, entry)) in part.iter_mut().enumerate() {
                let refusal = refused.iter().find(|(n, _)| *n == number);
                entry.lost = refusal.is_some();
                if let Some((_, error)) = refusal {
                    tracing::debug!(%address, interface, %error, "neighbour entry not restored");
                }
            }
        }
        self.due = false;
        Ok(())
    }

    /// Looks at what the kernel has: entries that differ from what they should be are written again by the next
    /// [`Neighbors::restore`], entries of ours that nobody wants are removed. How many there were.
    ///
    /// # Errors
    /// What the socket or the kernel says.
    fn compare(&mut self, channel: &mut Channel) -> Result<usize, FibError> {
        let mut seen = Seen::default();
        let known = &self.entries;
        let is_known = |i: IfIndex, address: &IpAddr| known.get(&i).is_some_and(|e| e.contains_key(address));
        channel.dump(
            "reading neighbours",
            |batch| neighbor::dump(batch, AF_UNSPEC),
            &mut seen,
            |seen| *seen = Seen::default(),
            |seen, message| {
                let Some(found) = KernelNeighbor::decode(message) else { return };
                let Some(address) = found.address else { return };
                if is_known(found.interface, &address) {
                    let whole = found.permanent && found.protocol == PROTOCOL;
                    seen.wanted.insert((found.interface, address), found.mac.filter(|_| whole));
                } else if found.protocol == PROTOCOL {
                    seen.surplus.push((found.interface, address));
                }
            },
        )?;
        let mut different = seen.surplus.len();
        for (interface, entries) in &mut self.entries {
            for (address, entry) in entries {
                let there = seen.wanted.get(&(*interface, *address)).copied().flatten();
                if there != Some(entry.mac) {
                    different += 1;
                    entry.lost = true;
                    self.due = true;
                }
            }
        }
        for (interface, address) in seen.surplus {
            if let Err(error) = channel.request(|batch| neighbor::remove(batch, interface, address)) {
                tracing::debug!(%address, interface, %error, "neighbour entry not removed");
            }
        }
        Ok(different)
    }

    /// Removes all.
    ///
    /// # Errors
    /// When the exchange with the kernel failed.
    pub(super) fn flush(&mut self, channel: &mut Channel, batch: &mut Batch) -> io::Result<()> {
        let entries = std::mem::take(&mut self.entries);
        let keys: Vec<(IfIndex, IpAddr)> =
            entries.iter().flat_map(|(i, e)| e.keys().map(|address| (*i, *address))).collect();
        for part in keys.chunks(BATCHED) {
            channel.prepare(batch);
            for (interface, address) in part {
                neighbor::remove(batch, *interface, *address);
            }
            channel.exchange(batch, |_, error| tracing::debug!(%error, "neighbour entry not removed"))?;
        }
        Ok(())
    }
}

impl Fib {
    /// Makes a permanent neighbour entry, in place of any other for that address; it is restored when others remove it
    /// or the interface was down.
    ///
    /// # Errors
    /// The kernel's refusal: such as an interface that does not exist. It is tried again with the next event of the
    /// interface, or comparison.
    pub fn set_neighbor(
        &mut self,
        interface: IfIndex,
        address: IpAddr,
        mac: [u8; 6],
    ) -> Result<(), KernelError> {
        let written = self.channel.request(|batch| neighbor::put(batch, interface, address, mac, PROTOCOL));
        if written.as_ref().is_err_and(|error| error.errno == libc::ENODEV) {
            return written;
        }
        let entry = Entry { mac, lost: written.is_err() };
        self.neighbors.entries.entry(interface).or_default().insert(address, entry);
        written
    }

    /// Compares the kernel's neighbour entries with those it should have and mends what differs: what the kernel changes by
    /// itself it does not always say. How many differed.
    ///
    /// # Errors
    /// What the socket or the kernel says.
    pub fn compare_neighbors(&mut self) -> Result<usize, FibError> {
        if self.neighbors.entries.values().all(HashMap::is_empty) {
            return Ok(0);
        }
        let different = self.neighbors.compare(&mut self.channel)?;
        self.neighbors
            .restore(&mut self.channel, &mut self.batch)
            .map_err(FibError::io("writing neighbours"))?;
        Ok(different)
    }

    /// Removes an entry of ours; others are left alone. One that is gone already is no error.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn remove_neighbor(&mut self, interface: IfIndex, address: IpAddr) -> Result<(), KernelError> {
        let entries = self.neighbors.entries.get_mut(&interface);
        if entries.and_then(|entries| entries.remove(&address)).is_none() {
            return Ok(());
        }
        match self.channel.request(|batch| neighbor::remove(batch, interface, address)) {
            Err(error) if ![libc::ENOENT, libc::ENODEV, libc::ESRCH].contains(&error.errno) => Err(error),
            _ => Ok(()),
        }
    }

    /// Has the kernel ask for the MAC addresses of gateways. The answer, or that there is none, is a
    /// [`crate::KernelEvent::Neighbor`].
    pub fn ask_for(&mut self, gateways: &[(IfIndex, IpAddr)]) {
        for part in gateways.chunks(BATCHED) {
            self.channel.prepare(&mut self.batch);
            for (interface, address) in part {
                neighbor::ask(&mut self.batch, *interface, *address);
            }
            let asked = self
                .channel
                .exchange(&mut self.batch, |_, error| tracing::debug!(%error, "asking for a gateway"));
            if let Err(error) = asked {
                tracing::debug!(%error, "asking for gateways failed");
            }
        }
    }

    /// The entries of ours, those of a previous run included, sorted.
    #[must_use]
    pub fn neighbors_of_ours(&self) -> Vec<OurNeighbor> {
        let mut list = Vec::new();
        for (interface, entries) in &self.neighbors.entries {
            let ours = |(address, entry): (&IpAddr, &Entry)| OurNeighbor {
                interface: *interface,
                address: *address,
                mac: entry.mac,
            };
            list.extend(entries.iter().map(ours));
        }
        list.sort_unstable();
        list
    }
}
