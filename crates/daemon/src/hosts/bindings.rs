//! What is kept of host routes over a restart: who has which address behind which port, and how often it moved. Written
//! by a thread of its own, since a disk may take its time; when it does, only the newest state waits.

use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use siskin_neighbor::{HostRoutes, Mac, SavedBinding};
use siskin_net::Timestamp;

use crate::state_file;

/// The file in the state folder.
const FILE: &str = "host-routes.json";
/// The least time between two writings.
const INTERVAL: Duration = Duration::from_secs(2);

/// One address as it stands in the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Saved {
    interface: String,
    address: IpAddr,
    mac: String,
    port: Option<String>,
    sequence: u32,
}

impl From<SavedBinding> for Saved {
    fn from(binding: SavedBinding) -> Saved {
        let SavedBinding { domain, address, mac, port, sequence } = binding;
        Saved { interface: domain, address, mac: mac.to_string(), port, sequence }
    }
}

impl Saved {
    fn binding(self) -> Option<SavedBinding> {
        let Saved { interface, address, mac, port, sequence } = self;
        let mac = Mac(mac.parse::<siskin_config::MacAddress>().ok()?.0);
        Some(SavedBinding { domain: interface, address, mac, port, sequence })
    }
}

/// Reads what the last run kept. What cannot be read is told, and nothing else comes of it: VMs are heard again.
pub(super) fn load(folder: &Path) -> Vec<SavedBinding> {
    match state_file::load::<Vec<Saved>>(&folder.join(FILE)) {
        Ok(saved) => saved.unwrap_or_default().into_iter().filter_map(Saved::binding).collect(),
        Err(error) => {
            tracing::warn!(%error, "the host routes of the last run are not known");
            Vec::new()
        }
    }
}

/// Writes what changed, not too often.
pub(super) struct Keeper {
    writer: SyncSender<Vec<Saved>>,
    thread: thread::JoinHandle<()>,
    changed: bool,
    next: Timestamp,
}

impl Keeper {
    /// A keeper for the state folder.
    pub(super) fn start(folder: &Path) -> std::io::Result<Keeper> {
        let path = folder.join(FILE);
        let (writer, inbox) = sync_channel(1);
        let thread = thread::Builder::new().name("host-state".into()).spawn(move || write(&path, &inbox))?;
        Ok(Keeper { writer, thread, changed: false, next: Timestamp::default() })
    }

    /// Something that is kept may be different now.
    pub(super) fn note(&mut self) {
        self.changed = true;
    }

    /// How long until something is to be written; `None`: nothing is.
    pub(super) fn patience(&self, now: Timestamp) -> Option<Duration> {
        self.changed.then(|| self.next.since(now))
    }

    /// Writes if something changed and it is time; `false`: the writer is busy.
    pub(super) fn tend(&mut self, engine: &HostRoutes, now: Timestamp) {
        if !self.changed || now < self.next {
            return;
        }
        self.next = now + INTERVAL;
        let saved = engine.bindings().into_iter().map(Saved::from).collect();
        match self.writer.try_send(saved) {
            Ok(()) => self.changed = false,
            // Busy: the next time will do. Gone: so is the daemon.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// Writes the last state and waits for it.
    pub(super) fn finish(self, engine: &HostRoutes) {
        if self.changed {
            drop(self.writer.send(engine.bindings().into_iter().map(Saved::from).collect()));
        }
        drop(self.writer);
        drop(self.thread.join());
    }
}

fn write(path: &Path, inbox: &Receiver<Vec<Saved>>) {
    while let Ok(saved) = inbox.recv() {
        if let Err(error) = state_file::save(path, &saved) {
            tracing::warn!(%error, "host routes cannot be kept for the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_are_read_as_they_were_written() {
        let folder = std::env::temp_dir().join(format!("siskin-bindings-{}", std::process::id()));
        let binding = SavedBinding {
            domain: "vmbr1".into(),
            address: "198.51.100.7".parse().unwrap(),
            mac: Mac([2, 0, 0, 0, 0, 7]),
            port: Some("tap7".into()),
            sequence: 4,
        };
        assert_eq!(load(&folder), []);
        state_file::save(&folder.join(FILE), &[Saved::from(binding.clone())]).unwrap();
        assert_eq!(load(&folder), [binding]);
        std::fs::write(folder.join(FILE), "no").unwrap();
        assert_eq!(load(&folder), []);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
