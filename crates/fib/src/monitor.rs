//! The socket on which the kernel tells what changes: links, addresses, routes, neighbours, next-hop objects.
//!
//! A classic BPF program in the kernel drops what would only cost time: echoes of our own writes, the table `local`,
//! cached clones, bridges' notes on their ports, ARP and ND entries that are neither ours nor on an interface with
//! gateways ([`MonitorFilter::set`]).

mod filter;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashSet;
use siskin_net::IfIndex;

use crate::error::FibError;
use crate::event::KernelEvent;
use crate::os::{RECEIVE_BUFFER, Socket};
use crate::wire::Messages;

/// `RTNLGRP_*`: LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE, NEXTHOP.
const GROUPS: [i32; 9] = [1, 3, 5, 7, 8, 9, 11, 19, 32];
/// Room for bursts, in bytes: about 30,000 route notifications.
const RECEIVE_ROOM: i32 = 16 << 20;
/// How many datagrams one call takes at most, so that its caller gets to its other work.
const TURN: usize = 4096;

/// The kernel's notifications.
#[derive(Debug)]
pub struct Monitor {
    socket: Arc<Socket>,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Opens the socket. Open it before reading any state ([`crate::KernelState::load`], [`crate::Fib::open`]), so that
    /// no change falls between.
    ///
    /// # Errors
    /// What the system says about the socket; a small buffer (no CAP_NET_ADMIN) is no error.
    pub fn open() -> Result<Monitor, FibError> {
        let socket = Socket::open().map_err(FibError::io("opening the monitor"))?;
        if let Err(error) = socket.set_option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_ROOM) {
            tracing::warn!(%error, "the monitor's buffer stays small: overruns are likely");
        }
        let monitor = Monitor { socket: Arc::new(socket), buffer: vec![0; RECEIVE_BUFFER] };
        monitor.ignore_port(0)?;
        for group in GROUPS {
            // Kernels before 5.3 have no group for next-hop objects.
            if let Err(error) = monitor.socket.join(group) {
                tracing::debug!(group, %error, "netlink group not available");
            }
        }
        Ok(monitor)
    }

    /// Drops, in the kernel, what the writer with this port id causes: [`crate::Fib::port`].
    ///
    /// # Errors
    /// What the system says about the filter.
    pub fn ignore_port(&self, port: u32) -> Result<(), FibError> {
        self.filter().set(port, &[], false)
    }

    /// The filter, to be changed later and from another thread.
    #[must_use]
    pub fn filter(&self) -> MonitorFilter {
        MonitorFilter { socket: Arc::clone(&self.socket) }
    }

    /// Waits up to `timeout` (`None`: without limit) for something to happen, and returns what did; empty when nothing
    /// did. After an overrun it returns [`KernelEvent::Overrun`] alone: what is older is worth nothing beside the dump
    /// that follows.
    ///
    /// # Errors
    /// What the system says about the socket.
    pub fn recv(&mut self, timeout: Option<Duration>) -> io::Result<Vec<KernelEvent>> {
        let mut events = Vec::new();
        if !self.socket.wait(timeout)? {
            return Ok(events);
        }
        for _ in 0..TURN {
            match self.socket.receive(&mut self.buffer) {
                Ok(length) => {
                    let datagram = self.buffer.get(..length).unwrap_or_default();
                    events.extend(Messages(datagram).filter_map(|m| KernelEvent::decode(&m)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.drain();
                    return Ok(vec![KernelEvent::Overrun]);
                }
                Err(error) => return Err(error),
            }
        }
        forget_deleted(&mut events);
        Ok(events)
    }

    /// Throws away what waits. Bounded: what comes meanwhile may stay.
    fn drain(&mut self) {
        for _ in 0..TURN.saturating_mul(64) {
            match self.socket.receive(&mut self.buffer) {
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => return,
                _ => {}
            }
        }
    }
}

/// What of the kernel's news reaches a [`Monitor`].
#[derive(Clone, Debug)]
pub struct MonitorFilter {
    socket: Arc<Socket>,
}

impl MonitorFilter {
    /// Drops what the writer with this port id causes (0: nobody's), and lets ARP and ND entries through that are on
    /// one of these interfaces: whether a gateway answers is of interest, whether a machine behind a bridge does is not.
    /// `bridge_notes`: bridges' notes on their ports' VLANs too, of which there are several whenever a port comes.
    ///
    /// # Errors
    /// What the system says about the filter.
    pub fn set(&self, port: u32, interfaces: &[IfIndex], bridge_notes: bool) -> Result<(), FibError> {
        let mut program = filter::program(port, interfaces, bridge_notes);
        self.socket.attach_filter(&mut program).map_err(FibError::io("filtering the monitor"))
    }
}

/// An entry that fails and is deleted in one breath was deleted by hand: `ip neighbor del` works that way. It says
/// nothing about the machine, so only the deletion is kept.
fn forget_deleted(events: &mut Vec<KernelEvent>) {
    if !events.iter().any(|e| matches!(e, KernelEvent::Neighbor { neighbor, .. } if neighbor.failed)) {
        return;
    }
    let mut deleted: HashSet<(IfIndex, IpAddr)> = HashSet::default();
    let mut kept: Vec<KernelEvent> = Vec::with_capacity(events.len());
    for event in events.drain(..).rev() {
        if let KernelEvent::Neighbor { neighbor, deleted: gone } = &event
            && let Some(address) = neighbor.address
        {
            if *gone {
                deleted.insert((neighbor.interface, address));
            } else if neighbor.failed && deleted.contains(&(neighbor.interface, address)) {
                continue;
            }
        }
        kept.push(event);
    }
    kept.reverse();
    *events = kept;
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
