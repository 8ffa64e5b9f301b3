//! The system calls: packet sockets, epoll, eventfd.
//!
//! The only file of the crate with `unsafe`. Descriptors are owned by types that close them.

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use siskin_net::IfIndex;
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

/// Enough for some 60 frames as the kernel counts them; more would only make a flood wait.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// Ports that one wait reports at most; the others are reported by the next.
const EVENTS: usize = 64;

/// A C `int`'s result, -1 being an error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set_option<T>(socket: &Socket, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: `value` points to `length` readable bytes for the length of the call; the kernel copies them.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, name, value, length) })?;
    Ok(())
}

/// The packet socket address of an interface.
fn link_address(interface: IfIndex, protocol: u16) -> io::Result<SockAddr> {
    // SAFETY: the closure writes a whole sockaddr_ll into storage that is larger and aligned for any address, and
    // says so in the length.
    let address = unsafe {
        SockAddr::try_init(|storage, length| {
            let mut link: libc::sockaddr_ll = mem::zeroed();
            link.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
            link.sll_protocol = protocol.to_be();
            link.sll_ifindex = i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
            storage.cast::<libc::sockaddr_ll>().write(link);
            *length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
            Ok(())
        })
    };
    address.map(|((), address)| address)
}

/// A packet socket that hears nothing: protocol 0.
fn deaf_socket() -> io::Result<Socket> {
    let socket = Socket::new_raw(Domain::PACKET, Type::RAW, Some(Protocol::from(0)));
    let socket = socket.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => io::Error::new(
            error.kind(),
            "cannot open a packet socket: run with CAP_NET_RAW (host routes listen to ARP and neighbour discovery)",
        ),
        _ => error,
    })?;
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A frame that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its bytes in the buffer; what is longer was cut.
    pub len: usize,
    /// The tag control information of a VLAN tag that the kernel took out.
    pub stripped_vlan: Option<u16>,
}

/// A socket that hears what comes in on one port.
#[derive(Debug)]
pub(super) struct PacketSocket(Socket);

impl PacketSocket {
    /// Everything is set before the socket is bound, so no frame of another port or protocol is ever in it.
    pub(super) fn open(
        port: IfIndex,
        filter: &[SockFilter],
        all_multicast: bool,
    ) -> io::Result<PacketSocket> {
        let socket = deaf_socket()?;
        let on: libc::c_int = 1;
        socket.attach_filter(filter)?;
        set_option(&socket, libc::PACKET_IGNORE_OUTGOING, &on)?;
        set_option(&socket, libc::PACKET_AUXDATA, &on)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        if all_multicast {
            let membership = libc::packet_mreq {
                mr_ifindex: i32::try_from(port).map_err(|_| io::ErrorKind::InvalidInput)?,
                mr_type: u16::try_from(libc::PACKET_MR_ALLMULTI).unwrap_or_default(),
                mr_alen: 0,
                mr_address: [0; 8],
            };
            set_option(&socket, libc::PACKET_ADD_MEMBERSHIP, &membership)?;
        }
        socket.bind(&link_address(port, u16::try_from(libc::ETH_P_ALL).unwrap_or_default())?)?;
        Ok(PacketSocket(socket))
    }

    /// The next frame; `None`: there is none now.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        /// Room for one `tpacket_auxdata`, aligned as control messages are.
        #[repr(align(8))]
        struct Control([MaybeUninit<u8>; 64]);
        let mut control = Control([MaybeUninit::uninit(); 64]);
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: all zeroes is a valid msghdr: null pointers and zero lengths.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        // SAFETY: the message describes `buffer` and `control`, which are exclusively ours and outlive the call.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        let Ok(len) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        };
        // SAFETY: the kernel has filled the message's control part, which is still alive.
        let stripped_vlan = unsafe { stripped_vlan(&message) };
        Ok(Some(Received { len: len.min(buffer.len()), stripped_vlan }))
    }

    /// Sends a frame out of its port; it does not hear it itself.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame).map(|_sent| ())
    }

    /// Frames dropped since the last call.
    pub(super) fn take_drops(&self) -> u32 {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>()).unwrap_or_default();
        let value = (&raw mut statistics).cast();
        let (level, name) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        // SAFETY: `value` points to `length` writable bytes.
        let result = unsafe { libc::getsockopt(self.0.as_raw_fd(), level, name, value, &raw mut length) };
        if result == 0 { statistics.tp_drops } else { 0 }
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The tag in a message's auxiliary data.
///
/// # Safety
/// `message` must be as `recvmsg` left it, with its control buffer alive.
unsafe fn stripped_vlan(message: &libc::msghdr) -> Option<u16> {
    // SAFETY: the caller's promise; the macros stay inside `msg_controllen`.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: a header that CMSG_FIRSTHDR or CMSG_NXTHDR returns lies whole in the buffer.
        let (level, kind, length) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len) };
        let wanted = u32::try_from(size_of::<libc::tpacket_auxdata>()).unwrap_or(u32::MAX);
        // SAFETY: CMSG_LEN computes.
        let whole = length >= unsafe { libc::CMSG_LEN(wanted) } as _;
        if level == libc::SOL_PACKET && kind == libc::PACKET_AUXDATA && whole {
            // SAFETY: the data is as long as the structure; it is read without a claim on alignment.
            let data = unsafe { libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>().read_unaligned() };
            return (data.tp_status & libc::TP_STATUS_VLAN_VALID != 0).then_some(data.tp_vlan_tci);
        }
        // SAFETY: as CMSG_FIRSTHDR.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

/// A socket that only speaks, out of any interface.
#[derive(Debug)]
pub(super) struct Sender(Socket);

impl Sender {
    pub(super) fn open() -> io::Result<Sender> {
        deaf_socket().map(Sender)
    }

    pub(super) fn send(&self, interface: IfIndex, frame: &[u8]) -> io::Result<()> {
        self.0.send_to(frame, &link_address(interface, 0)?).map(|_sent| ())
    }
}

/// Readiness of many descriptors, level-triggered.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn open() -> io::Result<Epoll> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Reports `fd` by `mark` when it is readable.
    pub(super) fn add(&self, fd: RawFd, mark: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, mark)
    }

    /// Reports it, or not. One that is not is taken out: errors would be reported of it even with no event asked for.
    pub(super) fn set(&self, fd: RawFd, mark: u64, on: bool) -> io::Result<()> {
        self.control(if on { libc::EPOLL_CTL_ADD } else { libc::EPOLL_CTL_DEL }, fd, mark)
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, mark: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: mark };
        // SAFETY: the event outlives the call.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) })?;
        Ok(())
    }

    /// Waits, and adds the marks of what is ready. A signal ends the wait early.
    pub(super) fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<u64>) -> io::Result<()> {
        // Rounded up: rounded down, a deadline within the millisecond would be waited for in a busy loop.
        let millis = timeout.map_or(-1, |t| i32::try_from(t.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let room = i32::try_from(EVENTS).unwrap_or_default();
        // SAFETY: `events` has room for as many events as we say.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, millis) };
        match check(count) {
            Ok(count) => {
                ready.extend(events.iter().take(usize::try_from(count).unwrap_or(0)).map(|event| event.u64));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A counter that makes a descriptor readable.
#[derive(Debug)]
pub(super) struct EventFd(OwnedFd);

impl EventFd {
    pub(super) fn open() -> io::Result<EventFd> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the descriptor is new and nobody else's.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable. It can fail only when it is readable already.
    pub(super) fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight readable bytes.
        let _full = unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    pub(super) fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight writable bytes.
        let _empty = unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
