//! BGP's TCP sockets: listening, connecting, and the options no crate knows (TCP MD5, RFC 2385; GTSM, RFC 5082).

mod options;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use siskin_net::IfIndex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

pub(crate) use options::set_md5_key;

/// What a connection to a peer needs beside its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionOptions {
    /// The local address to connect from.
    pub(crate) source: Option<IpAddr>,
    /// The interface to use, for link-local peers and where the configuration names one.
    pub(crate) interface: Option<String>,
    /// TCP MD5 key.
    pub(crate) password: Option<String>,
    /// GTSM (RFC 5082): the number of hops the peer may be away; packets with a lower TTL are dropped.
    pub(crate) ttl_security: Option<u8>,
    /// External peers are one hop away unless this says more; internal ones use 255.
    pub(crate) ttl: u8,
}

/// IP precedence 6, "internetwork control", as RFC 4271 appendix E asks for.
const TOS_INTERNETWORK_CONTROL: u32 = 0xc0;

/// Opens a listening socket. IPv6 sockets take IPv6 alone, so that both wildcards can be bound side by side.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = new_socket(address)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(256)?;
    TcpListener::from_std(socket.into())
}

/// Connects to a peer. The caller puts a time limit on it.
pub(crate) async fn connect(
    remote: SocketAddr,
    scope: IfIndex,
    options: &ConnectionOptions,
) -> io::Result<TcpStream> {
    let remote = scoped(remote, scope);
    let socket = new_socket(remote)?;
    if let Some(interface) = &options.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if let Some(source) = options.source {
        socket.set_reuse_address(true)?;
        socket.bind(&scoped(SocketAddr::new(source, 0), scope).into())?;
    }
    if let Some(password) = &options.password {
        set_md5_key(&socket, remote.ip(), scope, Some(password))?;
    }
    set_ttl(&socket, remote.is_ipv6(), options)?;
    let stream = TcpSocket::from_std_stream(socket.into()).connect(remote).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects to a server that is no BGP peer, with a TCP MD5 key if it has one. The caller puts a time limit on it.
pub(crate) async fn connect_plain(remote: SocketAddr, password: Option<&str>) -> io::Result<TcpStream> {
    let socket = new_socket(remote)?;
    if let Some(password) = password {
        set_md5_key(&socket, remote.ip(), 0, Some(password))?;
    }
    let stream = TcpSocket::from_std_stream(socket.into()).connect(remote).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Prepares a connection that a peer opened to us.
pub(crate) fn prepare_accepted(stream: &TcpStream, options: &ConnectionOptions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    set_ttl(&socket, stream.peer_addr()?.is_ipv6(), options)
}

fn set_ttl(socket: &Socket, ipv6: bool, options: &ConnectionOptions) -> io::Result<()> {
    let ttl = if options.ttl_security.is_some() { 255 } else { u32::from(options.ttl) };
    if ipv6 {
        socket.set_unicast_hops_v6(ttl)?;
        socket.set_tclass_v6(TOS_INTERNETWORK_CONTROL)?;
    } else {
        socket.set_ttl_v4(ttl)?;
        socket.set_tos_v4(TOS_INTERNETWORK_CONTROL)?;
    }
    if let Some(hops) = options.ttl_security {
        options::set_min_ttl(socket, ipv6, 255u8.saturating_sub(hops.saturating_sub(1)))?;
    }
    Ok(())
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The address with the interface it is valid on, where it is link-local.
fn scoped(address: SocketAddr, scope: IfIndex) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) if is_link_local(*v6.ip()) => {
            v6.set_scope_id(scope);
            SocketAddr::V6(v6)
        }
        other => other,
    }
}

/// Whether an address is in fe80::/10.
pub(crate) fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}
