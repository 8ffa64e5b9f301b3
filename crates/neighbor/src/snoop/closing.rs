//! Closing packet sockets out of the way: for each of them the kernel waits until all processors have let go of it (an RCU
//! grace period: milliseconds), in the thread that closes. Threads that wait at the same time wait for the same.

use std::sync::mpsc;
use std::thread;

use super::os::PacketSocket;

/// So many are closed at the same time: 4,000 are gone in a second and not in a minute.
const TOGETHER: usize = 64;

/// So many may wait for it; what is more is closed where it is given up, which holds that one back.
const WAITING: usize = 4_096;

/// A thread that closes what it is given.
#[derive(Debug)]
pub(super) struct Closer {
    /// `None` where no thread could be started.
    sockets: Option<mpsc::SyncSender<PacketSocket>>,
}

impl Closer {
    pub(super) fn start() -> Closer {
        let (sender, sockets) = mpsc::sync_channel::<PacketSocket>(WAITING);
        let run = move || {
            while let Ok(first) = sockets.recv() {
                close_all([first].into_iter().chain(sockets.try_iter().take(WAITING)).collect());
            }
        };
        match thread::Builder::new().name("closing".into()).spawn(run) {
            Ok(_detached) => Closer { sockets: Some(sender) },
            Err(error) => {
                tracing::debug!(%error, "sockets will be closed where they are used");
                Closer { sockets: None }
            }
        }
    }

    /// Closes a socket soon. Whoever polls it forgets it before.
    pub(super) fn close(&self, socket: PacketSocket) {
        if let Some(sockets) = &self.sockets {
            // A socket that cannot be handed over comes back in the error, and is closed with it.
            drop(sockets.try_send(socket));
        }
    }
}

/// Closes them all, several at a time, and returns when that is done.
pub(super) fn close_all(mut sockets: Vec<PacketSocket>) {
    let share = sockets.len().div_ceil(TOGETHER);
    if share == 0 {
        return;
    }
    thread::scope(|scope| {
        while sockets.len() > share {
            let part = sockets.split_off(sockets.len() - share);
            // Without a thread they are closed here.
            let _started = thread::Builder::new().name("closing".into()).spawn_scoped(scope, || drop(part));
        }
        drop(sockets);
    });
}
