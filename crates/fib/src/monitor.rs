//! The socket on which the kernel tells what changes: links, addresses, routes, neighbours, next-hop objects.
//!
//! A classic BPF program in the kernel drops what would only cost time: echoes of our own writes, the table `local`,
//! cached clones, bridges' notes on their ports, ARP and ND entries that are not ours.

mod filter;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use crate::error::FibError;
use crate::event::KernelEvent;
use crate::os::{RECEIVE_BUFFER, Socket};
use crate::wire::Messages;

/// `RTNLGRP_*`: LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE, NEXTHOP.
const GROUPS: [i32; 7] = [1, 3, 5, 7, 9, 11, 32];
/// Room for bursts, in bytes: about 30,000 route notifications.
const RECEIVE_ROOM: i32 = 16 << 20;
/// How many datagrams one call takes at most, so that its caller gets to its other work.
const TURN: usize = 4096;

/// The kernel's notifications.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
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
        let monitor = Monitor { socket, buffer: vec![0; RECEIVE_BUFFER] };
        monitor.attach(0)?;
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
        self.attach(port)
    }

    fn attach(&self, port: u32) -> Result<(), FibError> {
        self.socket.attach_filter(&mut filter::program(port)).map_err(FibError::io("filtering the monitor"))
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

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
