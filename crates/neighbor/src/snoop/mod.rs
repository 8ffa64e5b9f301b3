//! The ears and the mouth: one packet socket for each VM-facing port, and one to speak out of any.
//!
//! A socket for each port and not one on the bridge: the port is then the frame's identity without a race with the
//! bridge's table, frames are seen before any filter drops them, and a flood fills its own port's buffer alone. A
//! bridge eats frames before protocol sockets of its ports see them, so the sockets take all protocols and a classic
//! BPF filter in the kernel passes ARP, RARP and neighbour discovery: VMs' traffic never comes to user space.

mod closing;
mod filter;
mod os;

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use siskin_net::IfIndex;

use closing::{Closer, close_all};
pub use os::Received;
use os::{Epoll, EventFd, PacketSocket, Sender};

/// What the waker's events are marked with; no interface has this index.
const WAKER: u64 = u64::MAX;

/// Wakes a thread that waits in [`Snooper::wait`], from any other thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// Makes the current wait, or else the next one, return at once.
    pub fn wake(&self) {
        self.0.signal();
    }
}

#[derive(Debug)]
struct Port {
    socket: PacketSocket,
    listening: bool,
    dropped: u64,
}

/// The sockets of all ports.
#[derive(Debug)]
pub struct Snooper {
    epoll: Epoll,
    wake: Arc<EventFd>,
    sender: Sender,
    ports: HashMap<IfIndex, Port>,
    closer: Closer,
    ready: Vec<u64>,
}

impl Snooper {
    /// No port yet. Needs CAP_NET_RAW, here and in [`Snooper::add_port`].
    pub fn open() -> io::Result<Snooper> {
        let epoll = Epoll::open()?;
        let wake = Arc::new(EventFd::open()?);
        epoll.add(wake.as_raw_fd(), WAKER)?;
        Ok(Snooper {
            epoll,
            wake,
            sender: Sender::open()?,
            ports: HashMap::default(),
            closer: Closer::start(),
            ready: Vec::new(),
        })
    }

    /// A handle for other threads.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// A descriptor that is readable when [`Snooper::wait`] would return at once.
    #[must_use]
    pub fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Listens on a port. `all_multicast`: ask the device for all groups; bridge ports receive them anyway.
    pub fn add_port(&mut self, port: IfIndex, all_multicast: bool) -> io::Result<()> {
        if self.ports.contains_key(&port) {
            return Ok(());
        }
        let socket = PacketSocket::open(port, &filter::program(), all_multicast)?;
        self.epoll.add(socket.as_raw_fd(), u64::from(port))?;
        self.ports.insert(port, Port { socket, listening: true, dropped: 0 });
        Ok(())
    }

    /// Listens no more. What its socket still holds is gone; the socket itself a moment later.
    pub fn remove_port(&mut self, port: IfIndex) {
        let Some(at) = self.ports.remove(&port) else { return };
        // One that is not listened on is out of the set already.
        let forgotten =
            !at.listening || self.epoll.set(at.socket.as_raw_fd(), u64::from(port), false).is_ok();
        // One that is in it goes out with its end, which must then be now.
        if forgotten {
            self.closer.close(at.socket);
        }
    }

    /// Whether a port is listened on.
    #[must_use]
    pub fn has_port(&self, port: IfIndex) -> bool {
        self.ports.contains_key(&port)
    }

    /// Stops (`false`) or resumes reading a port. What comes meanwhile stays in the socket's small buffer, and is
    /// dropped by the kernel once that is full.
    pub fn listen(&mut self, port: IfIndex, on: bool) -> io::Result<()> {
        let Some(at) = self.ports.get_mut(&port) else { return Ok(()) };
        if at.listening != on {
            self.epoll.set(at.socket.as_raw_fd(), u64::from(port), on)?;
            at.listening = on;
        }
        Ok(())
    }

    /// Waits until a port has frames, the waker is used or the time is over; adds the ports to `ready`.
    pub fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<IfIndex>) -> io::Result<()> {
        self.epoll.wait(timeout, &mut self.ready)?;
        for mark in self.ready.drain(..) {
            match IfIndex::try_from(mark) {
                Ok(port) => ready.push(port),
                Err(_) => self.wake.clear(),
            }
        }
        Ok(())
    }

    /// The next frame of a port into `buffer`; `None`: there is none now.
    pub fn receive(&mut self, port: IfIndex, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let Some(at) = self.ports.get(&port) else { return Ok(None) };
        match at.socket.receive(buffer) {
            // The port is down: it says so once, and speaks again when it is up.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(None),
            other => other,
        }
    }

    /// Frames of a port that the kernel dropped because they came faster than they were read.
    pub fn dropped(&mut self, port: IfIndex) -> u64 {
        let Some(at) = self.ports.get_mut(&port) else { return 0 };
        at.dropped = at.dropped.saturating_add(u64::from(at.socket.take_drops()));
        at.dropped
    }

    /// Sends a frame out of a port or interface: out of a bridge's port straight to the VM behind it, out of the
    /// bridge itself to wherever the bridge thinks the destination is.
    pub fn send(&self, interface: IfIndex, frame: &[u8]) -> io::Result<()> {
        match self.ports.get(&interface) {
            // It knows its device; among thousands the kernel looks long for one.
            Some(at) => at.socket.send(frame),
            None => self.sender.send(interface, frame),
        }
    }
}

impl Drop for Snooper {
    fn drop(&mut self) {
        close_all(self.ports.drain().map(|(_, port)| port.socket).collect());
    }
}
