//! The listeners: opened before the daemon gives up its privileges, served after.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::{Limits, ServerConfig};

/// Who may read and write the socket: its user and its group.
const SOCKET_MODE: u32 = 0o660;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Another daemon answers there.
    #[error("another daemon answers at {0}: stop it, or name another socket with `api.socket`")]
    InUse(PathBuf),
    /// The path names something else.
    #[error("{0} exists and is no socket: remove it, or name another with `api.socket`")]
    NoSocket(PathBuf),
    /// The operating system refused the socket.
    #[error("cannot listen on {0}: {1}")]
    Unix(PathBuf, #[source] io::Error),
    /// The operating system refused the TCP address.
    #[error("cannot listen on {0}: {1}; `api.http` names the address")]
    Tcp(SocketAddr, #[source] io::Error),
}

/// Open listeners.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(super) limits: Limits,
    unix: UnixListener,
    socket: SocketFile,
    daemon_uid: u32,
    tcp: Option<std::net::TcpListener>,
}

impl Listeners {
    /// Opens them. A socket that nobody answers at is a leftover and is replaced.
    pub(crate) fn bind(config: &ServerConfig) -> Result<Listeners, BindError> {
        let tcp = config.http.map(bind_tcp).transpose()?;
        let (unix, socket) = bind_unix(&config.socket, &config.group)?;
        Ok(Listeners { limits: config.limits, unix, socket, daemon_uid: config.daemon_uid, tcp })
    }

    /// The TCP address in use.
    pub(super) fn http_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.local_addr().ok()
    }

    /// Hands them to the runtime.
    pub(super) fn into_tokio(self) -> io::Result<(Listener, Option<Listener>)> {
        let unix = Listener::Unix {
            listener: tokio::net::UnixListener::from_std(self.unix)?,
            daemon_uid: self.daemon_uid,
            _socket: self.socket,
        };
        let tcp = self.tcp.map(tokio::net::TcpListener::from_std).transpose()?.map(Listener::Tcp);
        Ok((unix, tcp))
    }
}

/// A listener of the runtime.
#[derive(Debug)]
pub(super) enum Listener {
    /// All verbs.
    Unix {
        /// The socket.
        listener: tokio::net::UnixListener,
        /// The user who may use changing verbs, besides root.
        daemon_uid: u32,
        /// Removed when the listener goes.
        _socket: SocketFile,
    },
    /// Reads alone.
    Tcp(tokio::net::TcpListener),
}

/// The socket's file: removed when it goes out of use, unless another daemon has put its own there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode) {
            // Nothing is left to do if it cannot be removed: the next start replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn bind_tcp(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let open = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|e| BindError::Tcp(address, e))
}

fn bind_unix(path: &Path, group: &str) -> Result<(UnixListener, SocketFile), BindError> {
    ensure_free(path)?;
    let open = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // Made beside its place and then moved there: at no time is there a socket with looser rights, nor none at all.
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = PathBuf::from(draft);
        match std::fs::remove_file(&draft) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(&draft)?;
        listener.set_nonblocking(true)?;
        if let Some(gid) = group_id(group)
            && let Err(error) = std::os::unix::fs::chown(&draft, None, Some(gid))
        {
            tracing::warn!(group, %error, "the API socket stays with the daemon's own group");
        }
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(SOCKET_MODE))?;
        let inode = std::fs::symlink_metadata(&draft)?.ino();
        std::fs::rename(&draft, path)?;
        Ok((listener, SocketFile { path: path.to_owned(), inode }))
    };
    open().map_err(|e| BindError::Unix(path.to_owned(), e))
}

/// Nothing is there, or a socket that nobody answers at.
fn ensure_free(path: &Path) -> Result<(), BindError> {
    let fail = |e| BindError::Unix(path.to_owned(), e);
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(fail(e)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(e) => Err(fail(e)),
    }
}

/// The number of a group of the machine's own `/etc/group`; groups of directory services are not looked up.
fn group_id(name: &str) -> Option<u32> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    find_group(&groups, name)
}

/// Lines are `name:password:gid:members`.
pub(super) fn find_group(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}
