//! Permanent neighbour entries of ours: ARP and ND answers for machines that we know better than the kernel.

use std::net::IpAddr;

use foldhash::HashMap;
use siskin_net::IfIndex;

use super::Fib;
use crate::PROTOCOL;
use crate::channel::Channel;
use crate::error::{FibError, KernelError};
use crate::wire::neighbor::{self, KernelNeighbor};
use crate::wire::{AF_UNSPEC, batch::Batch};

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

/// What entries of ours the kernel should have.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    entries: HashMap<(IfIndex, IpAddr), Entry>,
    /// Some entry is lost and may be written.
    due: bool,
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
                    n.entries.insert((interface, address), Entry { mac, lost: false });
                }
            },
        )
    }

    pub(super) fn on_event(&mut self, neighbor: &KernelNeighbor, deleted: bool) {
        let Some(address) = neighbor.address else { return };
        if let Some(entry) = self.entries.get_mut(&(neighbor.interface, address)) {
            let intact = !deleted && neighbor.permanent && neighbor.mac == Some(entry.mac);
            entry.lost = !intact;
            self.due |= !intact;
        }
    }

    /// The kernel forgets entries when their interface goes down.
    pub(super) fn on_link(&mut self, interface: IfIndex, usable: bool, deleted: bool) {
        if deleted {
            self.entries.retain(|(i, _), _| *i != interface);
            return;
        }
        for entry in self.entries.iter_mut().filter(|((i, _), _)| *i == interface).map(|(_, entry)| entry) {
            entry.lost = true;
            self.due |= usable;
        }
    }

    /// Events were lost: writes all again.
    pub(super) fn doubt(&mut self) {
        for entry in self.entries.values_mut() {
            entry.lost = true;
            self.due = true;
        }
    }

    /// Writes lost entries again.
    pub(super) fn restore(&mut self, channel: &mut Channel) {
        if !std::mem::take(&mut self.due) {
            return;
        }
        for ((interface, address), entry) in self.entries.iter_mut().filter(|(_, entry)| entry.lost) {
            let put =
                channel.request(|batch| neighbor::put(batch, *interface, *address, entry.mac, PROTOCOL));
            match put {
                Ok(()) => entry.lost = false,
                // The next event of the interface brings another try.
                Err(error) => tracing::debug!(%address, interface, %error, "neighbour entry not restored"),
            }
        }
    }

    pub(super) fn flush(&mut self, channel: &mut Channel) {
        for ((interface, address), _) in self.entries.drain() {
            if let Err(error) = channel.request(|batch| neighbor::remove(batch, interface, address)) {
                tracing::debug!(%address, interface, %error, "neighbour entry not removed");
            }
        }
    }
}

impl Fib {
    /// Makes a permanent neighbour entry, in place of any other for that address; it is restored when others remove it
    /// or the interface was down.
    ///
    /// # Errors
    /// The kernel's refusal: such as an interface that does not exist.
    pub fn set_neighbor(
        &mut self,
        interface: IfIndex,
        address: IpAddr,
        mac: [u8; 6],
    ) -> Result<(), KernelError> {
        self.channel.request(|batch| neighbor::put(batch, interface, address, mac, PROTOCOL))?;
        self.neighbors.entries.insert((interface, address), Entry { mac, lost: false });
        Ok(())
    }

    /// Removes an entry of ours; others are left alone. One that is gone already is no error.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn remove_neighbor(&mut self, interface: IfIndex, address: IpAddr) -> Result<(), KernelError> {
        if self.neighbors.entries.remove(&(interface, address)).is_none() {
            return Ok(());
        }
        match self.channel.request(|batch| neighbor::remove(batch, interface, address)) {
            Err(error) if ![libc::ENOENT, libc::ENODEV, libc::ESRCH].contains(&error.errno) => Err(error),
            _ => Ok(()),
        }
    }

    /// The entries of ours, those of a previous run included, sorted.
    #[must_use]
    pub fn neighbors_of_ours(&self) -> Vec<OurNeighbor> {
        let entries = self.neighbors.entries.iter();
        let mut list: Vec<OurNeighbor> = entries
            .map(|((interface, address), e)| OurNeighbor {
                interface: *interface,
                address: *address,
                mac: e.mac,
            })
            .collect();
        list.sort_unstable();
        list
    }
}
