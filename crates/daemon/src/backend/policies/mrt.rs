//! A table from an MRT file (RFC 6396), run through a peer's import: how many routes each rule decides.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use siskin_api::{ApiError, PolicyMrtReport, RuleCount};
use siskin_bgp::mrt::{HEADER_LEN, Header, MAX_RECORD_LEN, Reader};
use siskin_net::{NextHop, Prefix};
use siskin_policy::RuleId;
use siskin_rib::ImportProfile;

use super::outcome;
use crate::backend::routes::Words;
use crate::clock;
use crate::http::Answer;

/// What gzip files begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How many routes a rule decided.
struct Decided {
    accepted: bool,
    count: u64,
    example: Prefix,
    /// What it objected to in the example.
    reason: Option<String>,
}

/// What a file came to.
pub(super) struct Counted {
    rules: HashMap<RuleId, Decided>,
    routes: u64,
    unreadable: u64,
    took: Duration,
}

/// Stops the work when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs the routes of a file through import, aside.
pub(super) async fn count(import: Arc<ImportProfile>, file: PathBuf) -> Answer<Counted> {
    let stop = StopOnDrop(Arc::default());
    let stopped = stop.0.clone();
    let work = tokio::task::spawn_blocking(move || read(&import, &file, &stopped));
    work.await.map_err(|error| ApiError::internal(error.to_string()))?.map_err(ApiError::bad_request)
}

fn read(import: &ImportProfile, path: &Path, stopped: &AtomicBool) -> Result<Counted, String> {
    let begun = Instant::now();
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut input = open(path).map_err(failed)?;
    let mut reader = Reader::new(import.external);
    let mut counted = Counted { rules: HashMap::new(), routes: 0, unreadable: 0, took: Duration::ZERO };
    let mut body = Vec::new();
    let mut malformed = 0;
    while !stopped.load(Ordering::Relaxed)
        && let Some(header) = next_header(&mut *input).map_err(failed)?
    {
        let header = Header::decode(&header).map_err(|error| format!("{}: {error}", path.display()))?;
        body.resize(header.len.min(MAX_RECORD_LEN), 0);
        input.read_exact(&mut body).map_err(failed)?;
        let told = reader.record(&header, &body, |route| {
            let mut attributes = route.attributes.clone();
            // As if the peer had told it: by its own AS number and address.
            if import.external && attributes.as_path.neighbor_as() != Some(import.asn) {
                attributes.as_path = attributes.as_path.prepended(import.asn, 1);
            }
            if let Some(address) = import.address {
                attributes.next_hop = NextHop::new(address);
            }
            let (accepted, rule) = import.import(route.prefix, &attributes);
            counted.routes += 1;
            let decided = counted.rules.entry(rule).or_insert_with(|| Decided {
                accepted: accepted.is_some(),
                count: 0,
                example: route.prefix,
                reason: import.reason(rule, route.prefix, &attributes, clock::unix_ms() / 1000),
            });
            decided.count += 1;
        });
        malformed += u64::from(told.is_err());
    }
    if reader.counts().records == 0 {
        return Err(format!("{}: there is no MRT record in it", path.display()));
    }
    counted.unreadable = reader.counts().unreadable + malformed;
    counted.took = begun.elapsed();
    Ok(counted)
}

/// Opens a file, plain or gzip.
fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    if !path.is_absolute() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path must be absolute"));
    }
    let mut file = BufReader::new(File::open(path)?);
    let gzip = std::io::BufRead::fill_buf(&mut file)?.starts_with(&GZIP);
    Ok(if gzip { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}

/// The next record's header; `None` at the end of the file.
fn next_header(input: &mut dyn Read) -> std::io::Result<Option<[u8; HEADER_LEN]>> {
    let mut header = [0; HEADER_LEN];
    let mut filled = 0;
    while filled < HEADER_LEN {
        match input.read(&mut header[filled..])? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    Ok(Some(header))
}

impl Counted {
    /// The counts in the API's words, the most frequent rule first.
    pub(super) fn report(self, peer: &str, file: String, words: &Words) -> PolicyMrtReport {
        let mut report = PolicyMrtReport {
            peer: peer.to_owned(),
            file,
            routes: self.routes,
            unreadable: self.unreadable,
            took_ms: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            ..PolicyMrtReport::default()
        };
        for (rule, decided) in self.rules {
            let (rule, text) = words.rule(rule);
            let total = if decided.accepted { &mut report.accepted } else { &mut report.rejected };
            *total += decided.count;
            report.by_rule.push(RuleCount {
                rule,
                text: decided.reason.unwrap_or(text),
                outcome: outcome(decided.accepted),
                count: decided.count,
                example: decided.example,
            });
        }
        report.by_rule.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.rule.cmp(&b.rule)));
        report
    }
}
