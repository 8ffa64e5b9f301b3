//! Socket options that std, socket2 and tokio lack. The only `unsafe` of the TCP code.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use siskin_net::IfIndex;

/// `struct tcp_md5sig` of linux/tcp.h.
#[repr(C)]
struct TcpMd5Sig {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    ifindex: i32,
    key: [u8; libc::TCP_MD5SIG_MAXKEYLEN],
}

const TCP_MD5SIG_FLAG_IFINDEX: u8 = 2;

/// Sets (or with `None` removes) the TCP MD5 key for segments to and from `peer`, on a listening socket or before
/// connecting. The kernel takes keys of 1 to 80 bytes.
pub(crate) fn set_md5_key(
    socket: &impl AsRawFd,
    peer: IpAddr,
    scope: IfIndex,
    key: Option<&str>,
) -> io::Result<()> {
    let key = key.unwrap_or("").as_bytes();
    let mut buffer = [0u8; libc::TCP_MD5SIG_MAXKEYLEN];
    let Some(room) = buffer.get_mut(..key.len()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a TCP MD5 password has at most 80 bytes"));
    };
    room.copy_from_slice(key);
    let mut address = socket2::SockAddr::from(SocketAddr::new(peer, 0)).as_storage();
    // SAFETY: the storage is exactly a `sockaddr_storage`, of which every byte is initialised.
    let address = *unsafe { address.view_as::<libc::sockaddr_storage>() };
    let scoped = scope != 0 && matches!(peer, IpAddr::V6(a) if super::is_link_local(a));
    let value = TcpMd5Sig {
        address,
        flags: if scoped { TCP_MD5SIG_FLAG_IFINDEX } else { 0 },
        prefix_len: 0,
        key_len: u16::try_from(key.len()).unwrap_or(0),
        ifindex: i32::try_from(scope).unwrap_or(0),
        key: buffer,
    };
    let option = if scoped { libc::TCP_MD5SIG_EXT } else { libc::TCP_MD5SIG };
    set_option(socket, libc::IPPROTO_TCP, option, &value)
}

/// Drops packets that arrive with a TTL or hop limit below `minimum` (GTSM, RFC 5082).
pub(crate) fn set_min_ttl(socket: &impl AsRawFd, ipv6: bool, minimum: u8) -> io::Result<()> {
    let (level, option) =
        if ipv6 { (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT) } else { (libc::IPPROTO_IP, libc::IP_MINTTL) };
    set_option(socket, level, option, &libc::c_int::from(minimum))
}

fn set_option<T>(socket: &impl AsRawFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads `len` bytes of `value`,
    // which is exactly its size.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
