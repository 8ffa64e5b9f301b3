//! The task that moves lists: from disk, from servers, to disk and to the daemon. What is to be done is decided in `book`.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc::Sender;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep_until;
use tracing::warn;

use crate::book::{Fetched, Job, Work};
use crate::client::Shared;
use crate::list::{Data, Good};
use crate::{Answer, Part, Query, Update, backoff, store, whois};

/// Works until nobody takes updates any more.
pub(crate) async fn run(shared: Arc<Shared>, updates: Sender<Update>) {
    let mut tasks = JoinSet::new();
    loop {
        let mut work = shared.book().next(Instant::now());
        if !send(&shared, &updates, &mut work).await {
            return;
        }
        for (query, parts) in work.loads {
            tasks.spawn(load(shared.clone(), query, parts));
        }
        for job in work.fetches {
            tasks.spawn(fetch(shared.clone(), job));
        }
        if !work.saves.is_empty() {
            tasks.spawn(save(shared.clone(), work.saves));
        }
        while tasks.try_join_next().is_some() {}
        let until = work.until.map(tokio::time::Instant::from_std);
        let alarm = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.lists.notified() => {}
            () = alarm => {}
        }
    }
}

/// Tells the daemon what is new; `false` if nobody listens.
async fn send(shared: &Shared, updates: &Sender<Update>, work: &mut Work) -> bool {
    for (peer, record) in work.records.drain(..) {
        if updates.send(Update::Record { peer, record }).await.is_err() {
            return false;
        }
    }
    for snapshot in work.snapshots.drain(..) {
        let peer = snapshot.peer.clone();
        let Ok(lists) = spawn_blocking(move || Arc::new(snapshot.compose())).await else { continue };
        shared.book().sent(&peer, &lists);
        if updates.send(Update::Lists { peer, lists }).await.is_err() {
            return false;
        }
    }
    true
}

async fn load(shared: Arc<Shared>, query: Query, parts: Vec<Part>) {
    let folder = shared.book().config.state_dir.clone();
    let (asked, all) = (query.clone(), parts.clone());
    let load = move || {
        let of = |part| folder.as_ref().map_or(Ok(None), |folder| store::load(folder, &asked, part));
        parts.into_iter().map(|part| (part, of(part))).collect::<Vec<_>>()
    };
    let found = spawn_blocking(load).await.unwrap_or_else(|error| {
        all.into_iter().map(|part| (part, Err(format!("reading from disk: {error}")))).collect()
    });
    shared.book().loaded(&query, found, Instant::now(), SystemTime::now(), backoff::random());
    shared.lists.notify_one();
}

async fn save(shared: Arc<Shared>, lists: Vec<(Query, Part, Good)>) {
    let (folder, used) = {
        let book = shared.book();
        (book.config.state_dir.clone(), book.lists())
    };
    let save = move || {
        let Some(folder) = folder else { return };
        for (query, part, good) in lists {
            if let Err(error) = store::save(&folder, &query, part, &good) {
                warn!("{query} {part} is not kept on disk: {error}");
            }
        }
        if let Err(error) = store::prune(&folder, &used, SystemTime::now()) {
            warn!("lists that nobody uses stay on disk: {error}");
        }
    };
    let _ = spawn_blocking(save).await;
    shared.book().saved();
    shared.lists.notify_one();
}

async fn fetch(shared: Arc<Shared>, job: Job) {
    let _release = Release { shared: shared.clone(), query: job.query.clone() };
    let result = whois::fetch(&job.server, job.timeout, &job.query, whois::Ask::of(&job.parts)).await;
    let old = job.old;
    let Ok(result) = spawn_blocking(move || shared_with(result, &old)).await else { return };
    shared.book().fetched(&job.query, result, Instant::now(), SystemTime::now(), backoff::random());
}

/// An answer equal to what is in force becomes the same list, so that nobody keeps or judges it twice.
fn shared_with(result: Fetched, old: &[(Part, Data)]) -> Fetched {
    let before = |part: Part| old.iter().find(|(p, _)| *p == part).map(|(_, data)| data.clone());
    let mut answers = result?;
    for (part, answer) in &mut answers {
        match (answer, before(*part)) {
            (Ok(Answer::Prefixes(new)), Some(Data::Prefixes(old))) if *new == old => *new = old,
            (Ok(Answer::Members(new)), Some(Data::Members(old))) if *new == old => *new = old,
            _ => {}
        }
    }
    Ok(answers)
}

/// Gives a fetch's place back, even if its task dies.
struct Release {
    shared: Arc<Shared>,
    query: Query,
}

impl Drop for Release {
    fn drop(&mut self) {
        self.shared.book().released(&self.query);
        self.shared.lists.notify_one();
    }
}

#[cfg(test)]
mod tests;
