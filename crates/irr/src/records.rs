//! The task that asks PeeringDB, one question at a time and no faster than allowed, and keeps its records on disk.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::Sender;
use tokio::task::spawn_blocking;
use tracing::warn;

use crate::book::{NetworksFile, Question};
use crate::client::Shared;
use crate::peeringdb::http::Http;
use crate::peeringdb::pace::Pace;
use crate::peeringdb::{NEVER_QUERY, PeeringDbError, parse_asns, parse_records, records_query};
use crate::{PeeringDbConfig, Update, backoff, store};

/// The file in the state folder.
const FILE: &str = "peeringdb.json";
/// The pause between two queries.
const BETWEEN: Duration = Duration::from_secs(2);
/// How many queries PeeringDB takes a minute from an address, and from a key.
const A_MINUTE: usize = 20;
const A_MINUTE_WITH_KEY: usize = 40;
/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Works until nobody takes updates any more.
pub(crate) async fn run(shared: Arc<Shared>, updates: Sender<Update>) {
    load(&shared).await;
    let mut http: Option<Http> = None;
    let mut pace = Pace::new(BETWEEN);
    loop {
        let never = shared.book().networks.new_never();
        if let Some(never) = never
            && updates.send(Update::NeverViaRouteServers(never)).await.is_err()
        {
            return;
        }
        let (question, config) = {
            let book = shared.book();
            (book.networks.next(Instant::now()), book.config.peeringdb.clone())
        };
        let question = match question {
            Ok(question) => question,
            Err(due) => {
                wait(&shared, due).await;
                continue;
            }
        };
        let share = if config.api_key.is_some() { A_MINUTE_WITH_KEY } else { A_MINUTE };
        let next = pace.next(Instant::now(), share);
        if next > Instant::now() {
            wait(&shared, Some(next)).await;
            continue; // What is wanted may have changed meanwhile.
        }
        pace.used(Instant::now());
        let answer = ask(&mut http, &config, &question).await;
        if let Some(hold) = answer.as_ref().err().and_then(PeeringDbError::hold) {
            pace.hold(Instant::now(), hold);
        }
        learn(&shared, &question, answer, pace.last_minute(Instant::now())).await;
    }
}

/// Until something is wanted, or this time.
async fn wait(shared: &Shared, until: Option<Instant>) {
    let notified = shared.records.notified();
    match until {
        Some(until) => {
            let until = tokio::time::Instant::from_std(until);
            let _ = tokio::time::timeout_at(until, notified).await;
        }
        None => notified.await,
    }
}

async fn ask(
    http: &mut Option<Http>,
    config: &PeeringDbConfig,
    question: &Question,
) -> Result<bytes::Bytes, PeeringDbError> {
    let http = match http {
        Some(http) => http,
        None => http.insert(Http::new(config.url.starts_with("http://"))?),
    };
    let query = match question {
        Question::Records(asns) => records_query(asns),
        Question::Never => NEVER_QUERY.to_owned(),
    };
    let url = format!("{}{query}", config.url.trim_end_matches('/'));
    http.get(&url, config.api_key.as_deref(), PATIENCE).await
}

/// Takes an answer in, tells who waits for it, and keeps it on disk.
async fn learn(
    shared: &Shared,
    question: &Question,
    answer: Result<bytes::Bytes, PeeringDbError>,
    last_minute: usize,
) {
    let now = (Instant::now(), SystemTime::now());
    if let Err(error) = &answer {
        warn!("PeeringDB: {error}; the old records stay in force");
    }
    let file = {
        let mut book = shared.book();
        let refresh = book.config.peeringdb.refresh;
        let random = backoff::random();
        match question {
            Question::Records(asns) => {
                let records = answer.and_then(|body| parse_records(&body, now.1));
                book.networks.records(asns, records, refresh, now, random);
            }
            Question::Never => {
                let asns = answer.and_then(|body| parse_asns(&body));
                book.networks.never(asns, refresh, now, random);
            }
        }
        book.networks.queries_last_minute = last_minute;
        book.resolve_all(now.0);
        book.config.state_dir.clone().map(|folder| (folder, book.networks.to_file()))
    };
    shared.lists.notify_one();
    let Some((folder, file)) = file else { return };
    let save = move || {
        let value = serde_json::to_value(file).map_err(std::io::Error::from);
        if let Err(error) = value.and_then(|value| store::save_json(&folder, FILE, &value)) {
            warn!("PeeringDB's records are not kept on disk: {error}");
        }
    };
    let _ = spawn_blocking(save).await;
}

/// Reads the records on disk; then sets can be resolved.
async fn load(shared: &Shared) {
    let folder = shared.book().config.state_dir.clone();
    let read = move || match folder.map(|folder| store::load_json(&folder, FILE)) {
        None | Some(Ok(None)) => None,
        Some(Ok(Some(value))) => match serde_json::from_value::<NetworksFile>(value) {
            Ok(file) => Some(file),
            Err(error) => {
                warn!("{FILE}: {error}; refused, PeeringDB is asked anew");
                None
            }
        },
        Some(Err(reason)) => {
            warn!("{reason}; refused, PeeringDB is asked anew");
            None
        }
    };
    let file = spawn_blocking(read).await.unwrap_or_default();
    let now = (Instant::now(), SystemTime::now());
    let mut book = shared.book();
    let refresh = book.config.peeringdb.refresh;
    if let Some(file) = file {
        book.networks.load(file, refresh, now, backoff::random());
    }
    book.set_ready(now.0);
    drop(book);
    shared.lists.notify_one();
}

#[cfg(test)]
mod tests;
