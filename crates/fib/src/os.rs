//! The operating system's side: one netlink socket, its options, send, receive and wait.
//!
//! The only file of the crate with `unsafe`. It knows file descriptors and byte buffers, no message.

#![expect(clippy::cast_possible_truncation, reason = "sizes and constants of C fit the types C gives them")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// One instruction of a classic BPF program, as `SO_ATTACH_FILTER` takes it.
pub(crate) type Instruction = libc::sock_filter;

/// A raw `NETLINK_ROUTE` socket.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    port: u32,
}

/// How large one datagram may be that we receive: the kernel makes dumps of at most 32 KiB; a link with very many
/// virtual functions may need more.
pub(crate) const RECEIVE_BUFFER: usize = 256 * 1024;

impl Socket {
    /// Opens and binds a socket; the kernel chooses its port id.
    ///
    /// # Errors
    /// What `socket`, `bind` or `getsockname` say.
    pub(crate) fn open() -> io::Result<Socket> {
        // SAFETY: no pointers; the result is checked.
        let raw = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE)
        };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `raw` is a fresh descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        // SAFETY: sockaddr_nl is plain old data, for which all zeroes is a valid value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        let mut length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        let pointer = (&raw mut address).cast::<libc::sockaddr>();
        // SAFETY: `pointer` names a sockaddr_nl of `length` bytes that lives through the call.
        if unsafe { libc::bind(fd.as_raw_fd(), pointer, length) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `pointer` names `length` writable bytes, both live through the call.
        if unsafe { libc::getsockname(fd.as_raw_fd(), pointer, &raw mut length) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Socket { fd, port: address.nl_pid })
    }

    /// The port id: what the kernel puts into `nlmsg_pid` of the notifications this socket's requests cause.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Sets a boolean or integer option.
    ///
    /// # Errors
    /// What `setsockopt` says.
    pub(crate) fn set_option(&self, level: i32, name: i32, value: i32) -> io::Result<()> {
        // SAFETY: the pointer names an i32 that lives through the call, and the length is its size.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Joins a multicast group (`RTNLGRP_*`).
    ///
    /// # Errors
    /// What `setsockopt` says.
    pub(crate) fn join(&self, group: i32) -> io::Result<()> {
        self.set_option(libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group)
    }

    /// Attaches a classic BPF program in place of the one that was attached before.
    ///
    /// # Errors
    /// What `setsockopt` says; `InvalidInput` for a program of more than 65,535 instructions.
    pub(crate) fn attach_filter(&self, program: &mut [Instruction]) -> io::Result<()> {
        let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        // SAFETY: `program` names `len` instructions that live through the call; the kernel copies them.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size_of::<libc::sock_fprog>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Sends one datagram to the kernel, which works through all its messages before this returns.
    ///
    /// # Errors
    /// What `send` says; a short send is an error too.
    pub(crate) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        loop {
            // SAFETY: the pointer and length describe `datagram`, which lives through the call.
            let sent =
                unsafe { libc::send(self.fd.as_raw_fd(), datagram.as_ptr().cast(), datagram.len(), 0) };
            match usize::try_from(sent) {
                Ok(sent) if sent == datagram.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Receives one datagram without waiting; how many bytes of `buffer` it fills.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, `ENOBUFS` if the kernel had to drop some, `InvalidData` if it did not fit.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        loop {
            // SAFETY: the pointer and length describe `buffer`, which is ours alone through the call.
            let got =
                unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
            match usize::try_from(got) {
                Ok(got) if got <= buffer.len() => return Ok(got),
                Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Waits until there is something to receive; `false` when `timeout` passed (`None`: no limit).
    ///
    /// # Errors
    /// What `poll` says.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let millis = timeout.map_or(-1, |t| i32::try_from(t.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer names one pollfd that lives through the call.
        match unsafe { libc::poll(&raw mut poll, 1, millis) } {
            0 => Ok(false),
            n if n > 0 => Ok(true),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) }
            }
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
