//! The guard thread: keeps the nftables rules of VM ports in line with what the host-route thread knows, and puts them
//! back when somebody changes them.
//!
//! It runs programs, which takes milliseconds, so it is a thread of its own: the host-route thread only says that
//! something changed, and is asked for the whole when this one has time. A storm of changes is thereby one transaction
//! for as many ports as came meanwhile. What goes wrong is told once and tried again; host routes never wait for it.

mod listing;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use siskin_neighbor::guard::{self, Counts, Hook, PortFlags, Reason, Ruleset, TABLE, View};
use tokio::sync::oneshot;

use crate::hosts::HostsHandle;
use listing::Listing;
use run::{Generation, RunError};

/// How often the kernel is asked whether its rules changed.
const LOOK: Duration = Duration::from_secs(1);
/// Between two transactions, at least.
const REST: Duration = Duration::from_millis(5);
/// After an error the next try comes so much later, doubled each time up to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So long addresses of the previous run may be without a port before a first table is made without them. Their VMs
/// are probed within two seconds.
const PLACING: Duration = Duration::from_secs(5);
/// How long to wait for another look while they are placed.
const PLACING_LOOK: Duration = Duration::from_millis(100);

enum Command {
    /// Something changed; the flag of the handle says whether this is in the queue already.
    Dirty,
    Remove(oneshot::Sender<Result<usize, String>>),
    /// A configuration came into force.
    Resume,
    Query(Box<dyn FnOnce(&mut Guard) + Send>),
    Stop {
        flush: bool,
    },
}

/// The way to the guard thread.
#[derive(Clone)]
pub(crate) struct GuardHandle {
    sender: mpsc::Sender<Command>,
    dirty: Arc<AtomicBool>,
}

/// What the thread says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterStatus {
    /// Whether the wanted rules are in the kernel.
    pub(crate) installed: bool,
    /// Removed by hand, until the next configuration.
    pub(crate) suspended: bool,
    /// Why not, the last time.
    pub(crate) error: Option<String>,
    /// Times somebody else's change was undone.
    pub(crate) mended: u64,
    /// Transactions.
    pub(crate) transactions: u64,
    /// What the kernel counted.
    pub(crate) counts: Counts,
    /// Names of ports that are judged.
    pub(crate) ports: Vec<Arc<str>>,
}

impl FilterStatus {
    /// Frames and octets dropped for a reason, at all hooks.
    pub(crate) fn dropped(&self, reason: Reason) -> (u64, u64) {
        let of_reason = self.counts.reasons.iter().filter(|((_, of), _)| *of == reason);
        of_reason.fold((0, 0), |(packets, bytes), (_, more)| (packets + more.0, bytes + more.1))
    }
}

impl GuardHandle {
    fn send(&self, command: Command) {
        // Without the thread the daemon is stopping.
        drop(self.sender.send(command));
    }

    /// Owners, ports or configuration changed.
    pub(crate) fn changed(&self) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            self.send(Command::Dirty);
        }
    }

    /// A configuration came into force: what was removed by hand comes back.
    pub(crate) fn resume(&self) {
        self.send(Command::Resume);
    }

    /// Takes the rules and the ports' flags out of the kernel until [`GuardHandle::resume`]; how many tables went.
    pub(crate) async fn remove(&self) -> Option<Result<usize, String>> {
        let (answer, result) = oneshot::channel();
        self.send(Command::Remove(answer));
        result.await.ok()
    }

    /// The state, with the counts of ports (`detailed`), or those of reasons alone, which costs the kernel less.
    pub(crate) async fn status(&self, detailed: bool) -> Option<FilterStatus> {
        let (answer, result) = oneshot::channel();
        self.send(Command::Query(Box::new(move |guard| drop(answer.send(guard.status(detailed))))));
        result.await.ok()
    }

    /// Ends the thread. The rules stay, or go (`flush`).
    pub(crate) fn stop(&self, flush: bool) {
        self.send(Command::Stop { flush });
    }
}

/// The thread's end of the channel.
pub(crate) struct Inbox {
    commands: mpsc::Receiver<Command>,
    dirty: Arc<AtomicBool>,
}

/// The way to a thread that is not started yet.
pub(crate) fn channel() -> (GuardHandle, Inbox) {
    let (sender, commands) = mpsc::channel();
    let dirty = Arc::new(AtomicBool::new(false));
    (GuardHandle { sender, dirty: dirty.clone() }, Inbox { commands, dirty })
}

/// Starts the thread.
pub(crate) fn start(inbox: Inbox, hosts: HostsHandle) -> std::io::Result<JoinHandle<()>> {
    let mut guard = Guard::new(hosts);
    thread::Builder::new().name("guard".into()).spawn(move || guard.run(&inbox))
}

/// What is known of the kernel's rules.
enum Kernel {
    /// Nothing: they were not read yet, or are not what they should be.
    Unknown,
    /// They are these, and this is how everything but the elements is listed.
    Known { ruleset: Ruleset, rules: Vec<(Hook, String)>, generation: Option<u32> },
}

struct Guard {
    hosts: HostsHandle,
    kernel: Kernel,
    flags: PortFlags,
    /// What the previous run left, while addresses of it are without a port.
    left: Option<Ruleset>,
    generation: Option<Generation>,
    /// Until then a first table waits for addresses without a port.
    placing: Option<Instant>,
    suspended: bool,
    /// Ports that are not judged, as they were told last.
    tagged: Vec<Arc<str>>,
    /// Whether the host-route thread was ever configured: before that nothing is known.
    begun: bool,
    error: Option<String>,
    pause: Duration,
    /// When there is something to do without anybody asking.
    again: Option<Instant>,
    mended: u64,
    transactions: u64,
}

impl Guard {
    fn new(hosts: HostsHandle) -> Guard {
        Guard {
            hosts,
            kernel: Kernel::Unknown,
            flags: PortFlags::default(),
            left: None,
            generation: Generation::open().ok(),
            placing: None,
            suspended: false,
            tagged: Vec::new(),
            begun: false,
            error: None,
            pause: FIRST_PAUSE,
            again: None,
            mended: 0,
            transactions: 0,
        }
    }

    fn run(&mut self, inbox: &Inbox) {
        let mut look = Instant::now() + LOOK;
        loop {
            let wake = self.again.map_or(look, |again| again.min(look));
            match inbox.commands.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(Command::Dirty) => {
                    inbox.dirty.store(false, Ordering::Release);
                    self.refresh_unless_paused();
                }
                Ok(Command::Resume) => {
                    self.begun = true;
                    self.suspended = false;
                    self.pause = FIRST_PAUSE;
                    self.refresh();
                }
                Ok(Command::Remove(answer)) => drop(answer.send(self.remove())),
                Ok(Command::Query(query)) => query(self),
                Ok(Command::Stop { flush }) => {
                    if flush && let Err(error) = self.remove() {
                        tracing::error!(error, "the filter of VM ports stays in the kernel");
                    }
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if Instant::now() >= look {
                        look = Instant::now() + LOOK;
                        self.look();
                    }
                    if self.again.is_some_and(|again| again <= Instant::now()) {
                        self.refresh();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn refresh_unless_paused(&mut self) {
        if self.begun && (self.error.is_none() || self.again.is_none()) {
            self.refresh();
        }
    }

    /// What the host-route thread knows; `None`: it cannot say, and what is in the kernel is better than nothing.
    fn view(&self) -> Option<View> {
        if self.suspended || !self.hosts.is_active() {
            return Some(View::default());
        }
        self.hosts.filter_view()
    }

    /// Brings the kernel in line with what is wanted now.
    fn refresh(&mut self) {
        self.again = None;
        let started = Instant::now();
        let result = self.install();
        match result {
            Ok(()) => {
                if self.error.take().is_some() {
                    tracing::info!("the filter of VM ports is in the kernel");
                }
                self.pause = FIRST_PAUSE;
                // What comes meanwhile waits in the queue, and is one transaction.
                thread::sleep(started.elapsed().max(REST).min(LOOK));
            }
            Err(error) => {
                let text = error.to_string();
                if self.error.as_ref() != Some(&text) {
                    tracing::error!(error = text, "VM ports are not filtered as configured; trying again");
                }
                self.error = Some(text);
                self.kernel = Kernel::Unknown;
                self.again = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn install(&mut self) -> Result<(), RunError> {
        let Some(mut view) = self.view() else { return Ok(()) };
        if matches!(self.kernel, Kernel::Unknown) && view.domains.is_empty() && !self.has_tables() {
            self.kernel = Kernel::Known { ruleset: Ruleset::default(), rules: Vec::new(), generation: None };
            return self.set_flags(PortFlags::of(&view));
        }
        if self.tagged != view.tagged {
            if !view.tagged.is_empty() {
                let ports = view.tagged.join(" ");
                tracing::warn!(ports, "ports that carry VLANs by tag are not filtered");
            }
            self.tagged.clone_from(&view.tagged);
        }
        let (before, counts) = self.before(&view)?;
        if let Some(left) = &self.left {
            view.place(left);
            if view.unplaced() == 0 {
                self.left = None;
            } else {
                self.again = Some(Instant::now() + PLACING_LOOK);
            }
        }
        let none_yet = before.hooks().next().is_none();
        if view.unplaced() > 0 && none_yet {
            // Without a filter before, a moment more without is better than VMs cut off until they are heard.
            let until = *self.placing.get_or_insert_with(|| Instant::now() + PLACING);
            if Instant::now() < until {
                self.again = Some(Instant::now() + PLACING_LOOK);
                return Ok(());
            }
        }
        let wanted = Ruleset::of(&view);
        let text = wanted.change_from(&before, &counts);
        if !text.is_empty() {
            self.commit(wanted, &before, &text)?;
        }
        let flags = PortFlags::of(&view);
        self.set_flags(flags)
    }

    fn set_flags(&mut self, flags: PortFlags) -> Result<(), RunError> {
        run::batch("bridge", &flags.change_from(&self.flags))?;
        run::batch("ip", &flags.bridges_from(&self.flags))?;
        self.flags = flags;
        Ok(())
    }

    /// Whether there is anything of ours to remove, where no filter is configured; without `nft` there is not.
    fn has_tables(&self) -> bool {
        run::nft_json(&["list", "tables"]).is_ok_and(|tables| {
            let all = tables.get("nftables").and_then(serde_json::Value::as_array);
            all.into_iter().flatten().filter_map(|object| object.get("table")).any(|table| {
                let is = |field: &str, value: &str| table.get(field).is_some_and(|of| of == value);
                is("name", TABLE) && Hook::ALL.iter().any(|hook| is("family", hook.family()))
            })
        })
    }

    /// What is in the kernel, and what it counted where that is about to be needed.
    fn before(&mut self, view: &View) -> Result<(Ruleset, Counts), RunError> {
        if let Kernel::Known { ruleset, .. } = &self.kernel {
            let ruleset = ruleset.clone();
            let counts =
                if Ruleset::of(view).replaces(&ruleset) { self.counts(true) } else { Counts::default() };
            return Ok((ruleset, counts));
        }
        let mut counts = Counts::default();
        let mut tables = Vec::new();
        for hook in Hook::ALL {
            if let Some(listing) = list(hook, &mut counts)? {
                tables.push((hook, listing.elements));
            }
        }
        let before = Ruleset::left_behind(tables);
        if self.transactions == 0 && before.hooks().next().is_some() {
            tracing::info!("the filter of the previous run is taken over");
            self.left = Some(before.clone());
        }
        Ok((before, counts))
    }

    fn commit(&mut self, wanted: Ruleset, before: &Ruleset, text: &str) -> Result<(), RunError> {
        let same_rules = match &self.kernel {
            Kernel::Known { rules, .. } if !wanted.replaces(before) => Some(rules.clone()),
            _ => None,
        };
        let generation = self.read_generation();
        run::nft(text)?;
        self.transactions += 1;
        tracing::debug!(octets = text.len(), "the filter of VM ports changed");
        let mut after = self.read_generation();
        // Somebody else's transaction came between: the next look compares.
        if generation.map(|g| g.wrapping_add(1)) != after
            || self.known_generation().is_some_and(|k| Some(k) != generation)
        {
            after = None;
        }
        let hooks: Vec<Hook> = wanted.hooks().collect();
        let known = same_rules.filter(|rules| rules.iter().map(|(hook, _)| *hook).eq(hooks.iter().copied()));
        let rules = match known {
            Some(rules) => rules,
            None => {
                let listed = |hook| Ok(list(hook, &mut Counts::default())?.map(|l| (hook, l.rules)));
                hooks.into_iter().map(listed).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
            }
        };
        self.kernel = Kernel::Known { ruleset: wanted, rules, generation: after };
        Ok(())
    }

    fn read_generation(&self) -> Option<u32> {
        self.generation.as_ref()?.read().ok()
    }

    fn known_generation(&self) -> Option<u32> {
        match &self.kernel {
            Kernel::Known { generation, .. } => *generation,
            Kernel::Unknown => None,
        }
    }

    /// Compares the kernel's rules with ours if anybody changed any, and mends them.
    fn look(&mut self) {
        let Kernel::Known { ruleset, rules, generation } = &self.kernel else { return };
        let now = self.read_generation();
        if now.is_some() && now == *generation {
            return;
        }
        let mut changed = None;
        for (hook, rules) in rules {
            let what = match list(*hook, &mut Counts::default()) {
                Ok(Some(Listing { rules: found, .. })) if found != *rules => "rules",
                Ok(Some(Listing { interfaces, .. })) if interfaces != ruleset.interface_chains(*hook) => {
                    "hooks"
                }
                Ok(Some(Listing { elements, foreign: 0, .. }))
                    if ruleset.elements(*hook) == Some(&elements) =>
                {
                    continue;
                }
                Ok(Some(_)) => "elements",
                Ok(None) => "table",
                Err(error) => {
                    tracing::debug!(%error, "the filter cannot be looked at");
                    return;
                }
            };
            changed = Some((hook.family(), what));
        }
        let Some((family, what)) = changed else {
            if let Kernel::Known { generation, .. } = &mut self.kernel {
                *generation = now;
            }
            return;
        };
        self.mended += 1;
        tracing::warn!(family, what, "somebody changed the filter of VM ports; it is put back");
        self.kernel = Kernel::Unknown;
        // Those who change rules change flags, too, and setting them again costs little.
        self.flags = PortFlags::default();
        self.refresh();
    }

    fn remove(&mut self) -> Result<usize, String> {
        self.suspended = true;
        let mut tables = 0;
        for hook in Hook::ALL {
            match list(hook, &mut Counts::default()) {
                Ok(Some(_)) => {
                    run::nft(&guard::remove(hook)).map_err(|error| error.to_string())?;
                    tables += 1;
                }
                Ok(None) | Err(RunError::Missing(..)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.kernel = Kernel::Unknown;
        self.again = None;
        self.set_flags(PortFlags::default()).map_err(|error| error.to_string())?;
        Ok(tables)
    }

    /// What the kernel counted so far; what cannot be read counts as nothing.
    fn counts(&self, detailed: bool) -> Counts {
        let mut counts = Counts::default();
        let Kernel::Known { ruleset, .. } = &self.kernel else { return counts };
        for hook in ruleset.hooks() {
            let family = hook.family();
            let kind = if detailed { "table" } else { "counters" };
            let arguments = if detailed {
                vec!["list", kind, family, TABLE]
            } else {
                vec!["list", kind, "table", family, TABLE]
            };
            match run::nft_json(&arguments) {
                Ok(json) => drop(listing::read(&json, hook, &mut counts)),
                Err(error) => tracing::debug!(%error, "what the filter counted cannot be read"),
            }
        }
        counts
    }

    fn status(&mut self, detailed: bool) -> FilterStatus {
        let ports = match &self.kernel {
            Kernel::Known { ruleset, .. } if detailed => ruleset
                .hooks()
                .filter_map(|hook| ruleset.elements(hook))
                .flatten()
                .filter(|element| element.set == guard::Set::Ports)
                .filter_map(|element| element.key.port.clone())
                .collect(),
            _ => Vec::new(),
        };
        FilterStatus {
            installed: matches!(&self.kernel, Kernel::Known { ruleset, .. } if ruleset.hooks().next().is_some()),
            suspended: self.suspended,
            error: self.error.clone(),
            mended: self.mended,
            transactions: self.transactions,
            counts: self.counts(detailed),
            ports,
        }
    }
}

/// Our table at `hook` as the kernel has it; `None`: there is none.
fn list(hook: Hook, counts: &mut Counts) -> Result<Option<Listing>, RunError> {
    match run::nft_json(&["list", "table", hook.family(), TABLE]) {
        Ok(json) => Ok(Some(listing::read(&json, hook, counts))),
        Err(RunError::Refused(_, text)) if text.contains("No such file") => Ok(None),
        Err(error) => Err(error),
    }
}
