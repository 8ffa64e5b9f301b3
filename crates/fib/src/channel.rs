//! A netlink socket with its sequence numbers: exchanges a batch of requests, or asks for a dump.

use std::io;
use std::time::{Duration, Instant};

use crate::error::{FibError, KernelError};
use crate::os::{RECEIVE_BUFFER, Socket};
use crate::wire::batch::Batch;
use crate::wire::{Message, Messages, NLMSG_DONE, NLMSG_ERROR, flag};

/// How long the kernel may take to answer. It answers within the system call that asks; waiting at all is rare.
const PATIENCE: Duration = Duration::from_secs(10);
/// Room for the refusals of a whole batch (about 1.3 KB of kernel memory each), in bytes.
const RECEIVE_ROOM: i32 = 4 << 20;
const SEND_ROOM: i32 = 1 << 20;
/// Dumps that the kernel calls interrupted are asked for again this often.
const DUMP_TRIES: usize = 4;

/// A socket for requests and their answers.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: Socket,
    seq: u32,
    buffer: Vec<u8>,
}

impl Channel {
    /// Opens a channel for reading.
    pub(crate) fn open() -> Result<Channel, FibError> {
        let socket = Socket::open().map_err(FibError::io("opening a socket"))?;
        for option in [libc::NETLINK_CAP_ACK, libc::NETLINK_EXT_ACK, libc::NETLINK_GET_STRICT_CHK] {
            // Kernels before 4.20 lack the last one: then dumps are not selected by the kernel but by us.
            if let Err(error) = socket.set_option(libc::SOL_NETLINK, option, 1) {
                tracing::debug!(option, %error, "netlink option not available");
            }
        }
        Ok(Channel { socket, seq: 1, buffer: vec![0; RECEIVE_BUFFER] })
    }

    /// Opens a channel for changing things.
    ///
    /// # Errors
    /// [`FibError::Permission`] without CAP_NET_ADMIN.
    pub(crate) fn open_writer() -> Result<Channel, FibError> {
        let channel = Channel::open()?;
        let force = |name, room| channel.socket.set_option(libc::SOL_SOCKET, name, room);
        force(libc::SO_RCVBUFFORCE, RECEIVE_ROOM)
            .and_then(|()| force(libc::SO_SNDBUFFORCE, SEND_ROOM))
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EPERM) => FibError::Permission,
                _ => FibError::io("sizing the socket's buffers")(error),
            })?;
        Ok(channel)
    }

    /// The port id that marks what this channel caused.
    pub(crate) fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Empties `batch` for the next exchange.
    pub(crate) fn prepare(&self, batch: &mut Batch) {
        batch.reset(self.seq);
    }

    /// Sends the batch and reports each refusal with the number of its request in the batch, counted from 0.
    ///
    /// # Errors
    /// When it is not known what became of the requests.
    pub(crate) fn exchange(
        &mut self,
        batch: &mut Batch,
        mut refused: impl FnMut(usize, KernelError),
    ) -> io::Result<()> {
        if batch.count() == 0 {
            return Ok(());
        }
        let first = batch.first_seq();
        let count = batch.count();
        self.seq = batch.end_seq();
        self.socket.send(batch.seal())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            for message in Messages(next_datagram(&self.socket, &mut self.buffer, deadline)?) {
                let number = message.seq.wrapping_sub(first);
                if message.kind != NLMSG_ERROR || number >= count {
                    continue;
                }
                if let Some(error) = message.refusal() {
                    refused(number as usize, error);
                }
                if number + 1 == count {
                    return Ok(());
                }
            }
        }
    }

    /// One request, answered at once.
    ///
    /// # Errors
    /// The kernel's refusal, or what happened to the socket.
    pub(crate) fn request(&mut self, build: impl FnOnce(&mut Batch)) -> Result<(), KernelError> {
        let mut batch = Batch::new();
        self.prepare(&mut batch);
        build(&mut batch);
        let mut result = Ok(());
        self.exchange(&mut batch, |_, error| result = Err(error))?;
        result
    }

    /// Asks for a dump and hands every message to `take`; `begin` is called before each try, to forget the last one.
    ///
    /// # Errors
    /// The kernel's refusal, or what happened to the socket.
    pub(crate) fn dump<S>(
        &mut self,
        action: &'static str,
        build: impl Fn(&mut Batch),
        state: &mut S,
        begin: impl Fn(&mut S),
        mut take: impl FnMut(&mut S, &Message<'_>),
    ) -> Result<(), FibError> {
        let mut batch = Batch::new();
        for attempt in 1..=DUMP_TRIES {
            begin(state);
            self.prepare(&mut batch);
            build(&mut batch);
            if !self.dump_once(action, &mut batch, |message| take(state, message))? {
                return Ok(());
            }
            tracing::debug!(action, attempt, "the dump was interrupted by a change");
        }
        // Changes that keep coming also reach us as events, so the last try is good enough.
        Ok(())
    }

    /// Starts a dump that [`Channel::dump_slice`] reads bit by bit; the channel serves nothing else until it is over.
    ///
    /// # Errors
    /// What happened to the socket.
    pub(crate) fn begin_dump(&mut self, build: impl Fn(&mut Batch)) -> io::Result<u32> {
        let mut batch = Batch::new();
        self.prepare(&mut batch);
        build(&mut batch);
        self.seq = batch.end_seq();
        self.socket.send(batch.bytes())?;
        Ok(batch.first_seq())
    }

    /// Reads at most `datagrams` of the dump that [`Channel::begin_dump`] gave this number; `true` when that was all.
    ///
    /// # Errors
    /// The kernel's refusal, or what happened to the socket.
    pub(crate) fn dump_slice(
        &mut self,
        action: &'static str,
        seq: u32,
        datagrams: usize,
        mut take: impl FnMut(&Message<'_>),
    ) -> Result<bool, FibError> {
        for _ in 0..datagrams {
            let deadline = Instant::now() + PATIENCE;
            let datagram =
                next_datagram(&self.socket, &mut self.buffer, deadline).map_err(FibError::io(action))?;
            for message in Messages(datagram).filter(|m| m.seq == seq) {
                match message.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        return match message.refusal() {
                            Some(source) => Err(FibError::Kernel { action, source }),
                            None => Ok(true),
                        };
                    }
                    _ => take(&message),
                }
            }
        }
        Ok(false)
    }

    /// Returns whether the kernel called the dump interrupted.
    fn dump_once(
        &mut self,
        action: &'static str,
        batch: &mut Batch,
        mut take: impl FnMut(&Message<'_>),
    ) -> Result<bool, FibError> {
        let seq = batch.first_seq();
        self.seq = batch.end_seq();
        // A dump is answered by NLMSG_DONE; an acknowledgement besides would only confuse.
        self.socket.send(batch.bytes()).map_err(FibError::io(action))?;
        let mut interrupted = false;
        loop {
            let deadline = Instant::now() + PATIENCE;
            let datagram =
                next_datagram(&self.socket, &mut self.buffer, deadline).map_err(FibError::io(action))?;
            for message in Messages(datagram).filter(|m| m.seq == seq) {
                interrupted |= message.flags & flag::DUMP_INTERRUPTED != 0;
                match message.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        return match message.refusal() {
                            Some(source) => Err(FibError::Kernel { action, source }),
                            None => Ok(interrupted),
                        };
                    }
                    _ => take(&message),
                }
            }
        }
    }
}

fn next_datagram<'a>(socket: &Socket, buffer: &'a mut [u8], deadline: Instant) -> io::Result<&'a [u8]> {
    loop {
        match socket.receive(buffer) {
            Ok(length) => return Ok(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.wait(Some(left))?;
    }
}
