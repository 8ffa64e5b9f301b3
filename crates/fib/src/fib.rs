//! The kernel's routes: what is wanted less what is installed, written in batches.
//!
//! Routes carry our protocol number ([`crate::PROTOCOL`]) and one metric, in the table of the configuration or another
//! that a [`FibChange`] names; whatever else the tables hold is
//! never touched: a new route is created exclusively, a route of ours is replaced only where the last look showed
//! ours, and removals name our protocol. Next hops are kernel objects where the kernel has them.
//!
//! Left out so far: route metrics other than the MTU.

mod book;
mod check;
mod events;
mod failover;
mod failures;
mod neighbors;
mod objects;
mod place;
mod queue;
mod rules;
mod sync;
mod sysctl;
mod table;
mod write;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use siskin_net::{FamilyMap, NextHopGroup, Prefix};

use crate::channel::Channel;
use crate::error::FibError;
use crate::wire::batch::Batch;
use crate::wire::route::MAIN_TABLE;
use crate::{DEFAULT_NEXTHOP_ID_BASE, NEXTHOP_IDS};
use book::Book;
use check::Check;
pub use check::{Difference, DifferenceKind, FibCheck};
use neighbors::Neighbors;
pub use neighbors::OurNeighbor;
pub use objects::NextHopObject;
use objects::Objects;
use place::{FIRST, Place, TableId};
use rules::Rules;
use table::state;

/// How routes are written. The `[kernel]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibConfig {
    /// The kernel's table: 254 is `main`.
    pub table: u32,
    /// The priority of our routes; lower wins. IPv6 counts 0 as 1024.
    pub metric: u32,
    /// The source address of packets this machine sends itself; it must be an address of the machine.
    pub prefsrc: FamilyMap<Option<IpAddr>>,
    /// The largest packet along our routes, in bytes (`mtu` of `ip route`); 0: whatever the link takes.
    pub mtu: u32,
    /// Switch `net.ipv4.nexthop_compat_mode` off in this network namespace; `false` leaves it as it is.
    pub compat_mode_off: bool,
    /// Use kernel next-hop objects; without, every route carries its next hops.
    pub nexthop_groups: bool,
    /// Groups that keep flows on their hops where others come and go; `None`: the kernel's usual ones.
    pub resilient: Option<ResilientGroups>,
    /// Hops a route may have at most; of a wider group the first ones are used.
    pub max_paths: u16,
    /// The first of our range of next-hop ids, [`NEXTHOP_IDS`] long.
    pub nexthop_id_base: u32,
}

/// Groups that remember in buckets which hop each part of the traffic takes (`NEXTHOP_GRP_TYPE_RES`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResilientGroups {
    /// How many buckets a group has, at least as many as hops.
    pub buckets: u16,
    /// How long a bucket must be without traffic before it may go to another hop.
    pub idle: Duration,
    /// After how long with too few buckets for a hop they go to it even with traffic; zero: never.
    pub unbalanced: Duration,
}

impl Default for FibConfig {
    fn default() -> FibConfig {
        FibConfig {
            table: MAIN_TABLE,
            metric: 32,
            prefsrc: FamilyMap::default(),
            mtu: 0,
            compat_mode_off: false,
            nexthop_groups: true,
            resilient: None,
            max_paths: 16,
            nexthop_id_base: DEFAULT_NEXTHOP_ID_BASE,
        }
    }
}

impl FibConfig {
    fn check(&self) -> Result<(), FibError> {
        if [0, 255].contains(&self.table) {
            return Err(FibError::Config("tables 0 (unspecified) and 255 (local) are the kernel's own"));
        }
        if self.max_paths == 0 || self.max_paths > 256 {
            return Err(FibError::Config("max-paths must be 1 to 256"));
        }
        if self.resilient.is_some_and(|resilient| resilient.buckets < self.max_paths) {
            return Err(FibError::Config("resilient groups need at least max-paths buckets"));
        }
        if self.mtu != 0 && !(68..=65_535).contains(&self.mtu) {
            return Err(FibError::Config("mtu must be 68 to 65,535"));
        }
        if self.nexthop_id_base == 0 || self.nexthop_id_base > u32::MAX - NEXTHOP_IDS {
            return Err(FibError::Config("the range of next-hop ids must lie between 1 and 4,278,190,079"));
        }
        for (family, address) in self.prefsrc.iter() {
            if address.is_some_and(|a| crate::wire::family_of_address(a) != family) {
                return Err(FibError::Config("prefsrc is of the wrong family"));
            }
        }
        Ok(())
    }
}

/// The newest wish about a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibChange {
    /// The kernel's table; `None`: that of the configuration. 0 and 255 are the kernel's own and not taken.
    pub table: Option<u32>,
    /// The destination.
    pub prefix: Prefix,
    /// Where it goes; `None`: it is no longer wanted.
    pub target: Option<Arc<NextHopGroup>>,
}

/// How many routes are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FibCounts {
    /// In the kernel, as far as we know: also adopted ones, and ones that wait to be changed.
    pub installed: usize,
    /// Waiting to be written.
    pub pending: usize,
    /// Refused by the kernel, or without a usable next hop.
    pub failed: usize,
}

/// What one call of [`Fib::write`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteProgress {
    /// Prefixes whose kernel route is now as wanted.
    pub written: usize,
    /// Prefixes the kernel refused, or whose next hops cannot be used.
    pub refused: usize,
    /// Prefixes that still wait: call again.
    pub pending: usize,
    /// Of these, prefixes that are to be removed. The more of them are known, the likelier all routes of a group can go
    /// with one message, so they should not count against a limit.
    pub removals: usize,
    /// Call again after this time even if nothing is wanted: something is to be retried.
    pub retry_after: Option<Duration>,
}

/// The state of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteState {
    /// The kernel has it.
    Installed,
    /// It waits to be written or removed.
    Pending,
    /// A previous run left it, and nobody wants it so far: [`Fib::sweep`] removes it.
    Adopted,
    /// It is not as wanted; it is tried again.
    Failed {
        /// The kernel's error number.
        errno: i32,
        /// The reason in words, the kernel's own where it gave some.
        text: Arc<str>,
    },
}

/// A route and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledRoute {
    /// The kernel's table.
    pub table: u32,
    /// The destination.
    pub prefix: Prefix,
    /// Where it should go; of one that is being removed, where it goes.
    pub group: Option<Arc<NextHopGroup>>,
    /// Its state.
    pub state: RouteState,
}

/// What is wanted, what is installed, and the socket between. One thread owns it.
#[derive(Debug)]
pub struct Fib {
    channel: Channel,
    batch: Batch,
    book: Book,
    neighbors: Neighbors,
    rules: Rules,
    /// When incomplete groups are tried again, and after how long the next time.
    heal_at: Option<Instant>,
    heal_wait: Duration,
    /// A dump is due then.
    resync_at: Option<Instant>,
    check: Option<Check>,
    /// Tables that were not read yet.
    new_tables: Vec<TableId>,
}

impl Fib {
    /// Opens the writer and adopts what a previous run left: routes and next-hop objects of our protocol, neighbour
    /// entries too. They stay until they are wanted or [`Fib::sweep`] is called. If the kernel has no next-hop objects,
    /// they are switched off.
    ///
    /// # Errors
    /// [`FibError::Permission`] without CAP_NET_ADMIN, [`FibError::Config`] for impossible settings, else what the
    /// socket or the kernel says.
    pub fn open(config: FibConfig) -> Result<Fib, FibError> {
        config.check()?;
        let channel = Channel::open_writer()?;
        let mut objects = Objects::new(config.nexthop_groups, config.nexthop_id_base, config.max_paths);
        objects.resilient = config.resilient;
        let mut fib = Fib {
            channel,
            batch: Batch::new(),
            book: Book::new(config, objects),
            neighbors: Neighbors::default(),
            rules: Rules::default(),
            heal_at: None,
            heal_wait: write::HEAL_FIRST,
            resync_at: None,
            check: None,
            new_tables: Vec::new(),
        };
        let objects = &mut fib.book.objects;
        if let Err(error) = objects.adopt(&mut fib.channel).and_then(|()| objects.probe(&mut fib.channel)) {
            if !crate::state::unsupported(&error) {
                return Err(error);
            }
            tracing::info!("this kernel takes no next-hop objects: next hops are written inline");
            objects.enabled = false;
        }
        if fib.book.config.compat_mode_off && fib.book.objects.enabled {
            sysctl::switch_compat_mode_off();
        }
        fib.find_tables()?;
        fib.resync()?;
        fib.neighbors.adopt(&mut fib.channel)?;
        Ok(fib)
    }

    /// The writer's netlink port id, for [`crate::Monitor::ignore_port`].
    #[must_use]
    pub fn port(&self) -> u32 {
        self.channel.port()
    }

    /// The settings in force; `nexthop_groups` and `resilient` as the kernel allows it.
    #[must_use]
    pub fn config(&self) -> FibConfig {
        let objects = &self.book.objects;
        let resilient = objects.resilient.filter(|_| objects.enabled);
        FibConfig { nexthop_groups: objects.enabled, resilient, ..self.book.config.clone() }
    }

    /// Whether resilient groups are wanted and the kernel refuses them.
    #[must_use]
    pub fn lacks_resilient_groups(&self) -> bool {
        self.book.config.resilient.is_some() && self.book.objects.resilient.is_none()
    }

    /// Whether `net.ipv4.nexthop_compat_mode` is on in this thread's network namespace: then the kernel announces each
    /// route of a next-hop group that changes, so that failover takes longer the more routes there are. `None`: this
    /// kernel has no such switch, or no next-hop objects are in use.
    #[must_use]
    pub fn compat_mode(&self) -> Option<bool> {
        if self.book.objects.enabled { sysctl::compat_mode() } else { None }
    }

    /// Takes over a wish; the newest one of a prefix counts. Nothing is written before [`Fib::write`].
    pub fn want(&mut self, change: FibChange) {
        if let Some(place) = self.place_of(&change) {
            self.book.want(place, change.target);
        }
    }

    /// As [`Fib::want`], of a route that stood in another table so far (`None`: that of the configuration): it leaves that
    /// one as soon as it stands in the other, or is refused there.
    pub fn want_moved(&mut self, change: FibChange, from: Option<u32>) {
        let from = self.book.tables.find(from.unwrap_or(self.book.config.table));
        match (self.place_of(&change), from) {
            (Some(place), Some(from)) => self.book.want_moved(place, from, change.target),
            (Some(place), None) => self.book.want(place, change.target),
            // It can be in no table, and stays in none.
            (None, Some(from)) => self.book.want(Place { table: from, prefix: change.prefix }, None),
            (None, None) => {}
        }
    }

    /// Where a wish belongs; `None`: nowhere, which is logged.
    fn place_of(&mut self, change: &FibChange) -> Option<Place> {
        let number = change.table.unwrap_or(self.book.config.table);
        let known = self.book.tables.find(number);
        let added = || (![0, 255].contains(&number)).then(|| self.book.tables.add(number)).flatten();
        let Some(table) = known.or_else(added) else {
            tracing::warn!(table = number, prefix = %change.prefix, "a route in a table that cannot be ours");
            return None;
        };
        if known.is_none() {
            self.new_tables.push(table);
        }
        Some(Place { table, prefix: change.prefix })
    }

    /// How many prefixes wait to be written.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.book.counts().iter().map(|(_, counts)| counts.pending).sum()
    }

    /// How many routes are in which state.
    #[must_use]
    pub fn counts(&self) -> FamilyMap<FibCounts> {
        self.book.counts()
    }

    /// Ends the grace of adopted routes: those that nobody wanted are marked for removal, and from now on whatever of
    /// our protocol turns up unwanted is removed. Returns how many; [`Fib::write`] then removes them.
    pub fn sweep(&mut self) -> usize {
        self.book.swept = true;
        let adopted = self.book.select(|cell| cell.is(state::ADOPTED));
        for place in &adopted {
            self.book.update(*place, |cell| {
                cell.clear(state::ADOPTED);
                cell.set(state::PENDING);
            });
        }
        adopted.len() + self.book.leftovers.len()
    }

    /// A route with its state, in the table of the configuration.
    #[must_use]
    pub fn get(&self, prefix: Prefix) -> Option<InstalledRoute> {
        self.book.route(Place { table: FIRST, prefix })
    }

    /// A route with its state, in any table.
    #[must_use]
    pub fn get_in(&self, table: u32, prefix: Prefix) -> Option<InstalledRoute> {
        self.book.route(Place { table: self.book.tables.find(table)?, prefix })
    }

    /// The tables that routes of ours are or were in, that of the configuration first.
    #[must_use]
    pub fn tables(&self) -> Vec<u32> {
        self.book.tables.ids().map(|id| self.book.tables.number(id)).collect()
    }

    /// At most `limit` routes behind `from` (`None`: from the start), table by table, in order of prefix: IPv4 first. To
    /// resume, pass table and prefix of the last one seen. A route that appears behind a walker's back may be missed; none is shown twice.
    pub fn routes(&mut self, from: Option<(u32, Prefix)>, limit: usize) -> Vec<InstalledRoute> {
        let place = |(table, prefix)| Some(Place { table: self.book.tables.find(table)?, prefix });
        self.book.walk(from.and_then(place), limit)
    }

    /// The next-hop objects of ours that the kernel has.
    #[must_use]
    pub fn nexthops(&self) -> Vec<NextHopObject> {
        self.book.objects.list()
    }
}
