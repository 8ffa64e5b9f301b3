//! A peer that notes when it hears of each prefix: a BGP session on a thread of this process, in a namespace of a lab.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use siskin_net::{Family, Prefix};

use crate::lab::Ns;
use crate::speaker::{Options, Session};
use crate::{Result, fail, wire};

/// What the peer was told.
#[derive(Debug, Default)]
struct Told {
    established: bool,
    /// The last word about each prefix: announced or withdrawn, and when.
    last: HashMap<Prefix, (bool, Instant)>,
    announced: usize,
    /// Changes of what is announced; the same again is none.
    changes: u64,
    last_change: Option<Instant>,
    error: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    told: Mutex<Told>,
    news: Condvar,
}

/// The peer.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Shared>);

impl Watch {
    /// Listens in `ns` on `address` for a session with Siskin; it ends with this process or with the session.
    #[must_use]
    pub fn start(ns: &Ns, address: IpAddr, asn: u32) -> Watch {
        let shared = Arc::<Shared>::default();
        let watch = Watch(shared.clone());
        let ns = ns.clone();
        thread::spawn(move || {
            let ended = ns.within(|| shared.listen(address, asn));
            shared.lock().error = ended.err().map(|error| error.to_string());
            shared.news.notify_all();
        });
        watch
    }

    /// Waits for what `find` looks for in what was told.
    fn wait<T>(&self, what: &str, limit: Duration, mut find: impl FnMut(&Told) -> Option<T>) -> Result<T> {
        let end = Instant::now() + limit;
        let mut told = self.0.lock();
        loop {
            if let Some(found) = find(&told) {
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (count, error) = (told.announced, &told.error);
                return fail(format!(
                    "the watching peer waited {limit:?} for {what}; it has {count} prefixes, {error:?}"
                ));
            }
            told = self.0.news.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the session.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn wait_established(&self, limit: Duration) -> Result {
        self.wait("the session", limit, |told| told.established.then_some(()))
    }

    /// Waits until a prefix is announced (or withdrawn), and says when that came.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn wait_for(&self, prefix: Prefix, announced: bool, limit: Duration) -> Result<Instant> {
        self.wait(&format!("{prefix} announced {announced}"), limit, |told| {
            told.last.get(&prefix).filter(|(is, _)| *is == announced).map(|(_, at)| *at)
        })
    }

    /// Waits until so many prefixes are announced, and says when the last of them came.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn wait_count(&self, count: usize, limit: Duration) -> Result<Instant> {
        self.wait(&format!("{count} prefixes"), limit, |told| {
            told.last_change.filter(|_| told.announced == count)
        })
    }

    /// Changes of what is announced so far.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    /// What is announced, sorted.
    #[must_use]
    pub fn announced(&self) -> Vec<Prefix> {
        let told = self.0.lock();
        let mut all: Vec<Prefix> = told.last.iter().filter(|(_, (is, _))| *is).map(|(p, _)| *p).collect();
        all.sort();
        all
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, address: IpAddr, asn: u32) -> Result {
        const HOLD: u16 = 90;
        let mut session = Session::establish(&Options {
            asn,
            router_id: Ipv4Addr::new(192, 0, 2, 203),
            hold: HOLD,
            families: Family::ALL.to_vec(),
            local: None,
            connect: None,
            listen: Some(SocketAddr::new(address, 179)),
        })?;
        session.writer().keep_alive(Duration::from_secs(u64::from(HOLD) / 3));
        self.lock().established = true;
        self.news.notify_all();
        while let Some((kind, body)) = session.reader.message()? {
            let now = Instant::now();
            if kind == wire::UPDATE {
                self.lock().update(body, now)?;
                self.news.notify_all();
            }
        }
        fail("the session was closed")
    }
}

impl Told {
    fn update(&mut self, body: &[u8], now: Instant) -> Result {
        let parts = wire::parts(body)?;
        for (octets, family, is) in [
            (parts.unreach4, Family::Ipv4, false),
            (parts.unreach6.unwrap_or_default(), Family::Ipv6, false),
            (parts.reach4, Family::Ipv4, true),
            (parts.reach6, Family::Ipv6, true),
        ] {
            wire::walk_nlri(octets, family, |bits, length| self.note(prefix(family, bits, length), is, now))?;
        }
        Ok(())
    }

    fn note(&mut self, prefix: Prefix, is: bool, now: Instant) {
        let before = self.last.insert(prefix, (is, now)).is_some_and(|(is, _)| is);
        if before != is {
            self.changes += 1;
            self.announced = if is { self.announced + 1 } else { self.announced.saturating_sub(1) };
            self.last_change = Some(now);
        }
    }
}

/// The prefix of NLRI bits, which stand at the top of 128.
fn prefix(family: Family, bits: u128, length: u8) -> Prefix {
    let address = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap_or(0))),
        Family::Ipv6 => IpAddr::V6(std::net::Ipv6Addr::from_bits(bits)),
    };
    Prefix::new(address, length)
}
