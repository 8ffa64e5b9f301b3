//! The handle that the daemon holds: it says what is wanted and asks how things stand; tasks do the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use crate::book::Book;
use crate::{AcceptError, Accepted, Config, PeerRequest, SetView, Status, Update, records, run};

/// What the handle and the tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    book: Mutex<Book>,
    /// There may be something to do for lists.
    pub(crate) lists: Notify,
    /// There may be something to ask PeeringDB.
    pub(crate) records: Notify,
}

impl Shared {
    /// The book. It is never held across an await.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere leaves at worst one entry half updated, which the next refresh mends.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed that both tasks may have to act on.
    pub(crate) fn wake(&self) {
        self.lists.notify_one();
        self.records.notify_one();
    }
}

/// The handle. Dropping it ends the tasks.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts the client inside a tokio runtime. What it learns goes to `updates`, first of all what the disk has. While
/// nobody takes updates, nothing more is asked; what changes meanwhile is told once.
///
/// Nothing is asked before [`Client::set_requests`].
#[must_use]
pub fn start(config: Config, updates: Sender<Update>) -> Client {
    let book = Mutex::new(Book::new(config, Instant::now()));
    let shared = Arc::new(Shared { book, lists: Notify::new(), records: Notify::new() });
    let tasks = vec![
        tokio::spawn(run::run(shared.clone(), updates.clone())),
        tokio::spawn(records::run(shared.clone(), updates)),
    ];
    Client { shared, tasks }
}

impl Client {
    /// Replaces what is wanted: peers by name, and whether the list of networks that are never behind a route server is.
    /// A peer that is new or whose request changed gets its updates anew. Where other sets are named than before, the old
    /// ones stay in force until the new ones have lists.
    pub fn set_requests(&self, peers: BTreeMap<String, PeerRequest>, never_via_route_servers: bool) {
        self.shared.book().set_requests(peers, never_via_route_servers, Instant::now());
        self.shared.wake();
    }

    /// Replaces the configuration. Nothing in force changes by that alone.
    pub fn reconfigure(&self, config: Config) {
        self.shared.book().reconfigure(config, Instant::now());
        self.shared.wake();
    }

    /// Asks for the sets and the record of `peer`, or of all, as soon as the limits allow.
    pub fn refresh(&self, peer: Option<&str>) {
        self.shared.book().refresh(peer, Instant::now());
        self.shared.wake();
    }

    /// Puts the lists of `peer` that are in [`crate::State::Alarm`] in force as the registry has them, for all peers that
    /// share them.
    ///
    /// # Errors
    /// No such peer asked for sets, or none of its lists is in alarm.
    pub fn accept(&self, peer: &str) -> Result<Accepted, AcceptError> {
        let accepted = self.shared.book().accept(peer, Instant::now());
        self.shared.wake();
        accepted
    }

    /// How everything stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.book().status(SystemTime::now())
    }

    /// What is in force of a set (`AS-X` or `SOURCE::AS-X`) that some peer uses; of several with the name, that with the
    /// configured sources comes first.
    #[must_use]
    pub fn list(&self, set: &str) -> Option<SetView> {
        self.shared.book().view(set, SystemTime::now())
    }

    /// Ends the tasks and waits for them. What is in the middle of being written to disk is still written.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // The error says that it was ended, which is what was asked for.
            let _ = task.await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
