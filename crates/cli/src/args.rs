//! The command line's grammar.

mod filters;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use siskin_api::{PeerAction, Selector, View};

pub(crate) use filters::{IrrAction, OriginWord, PolicyAction, PolicyTestArguments, RpkiAction};

/// Where the daemon listens unless it is told otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/siskin/siskin.sock";
/// Where the configuration is unless the daemon is told otherwise.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/siskin/siskin.toml";

/// The operator's tool of the Siskin BGP daemon.
#[derive(Debug, Parser)]
#[command(
    name = "siskin",
    version,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  siskin status
  siskin peers transit-a
  siskin explain 203.0.113.1

BIRD's and FRR's most used forms work, too:
  siskin show protocols
  siskin show route for 203.0.113.1 all
  siskin show bgp summary

Exit codes: 0 done or found, 1 not found or a negative answer, 2 usage, 3 daemon unreachable,
4 configuration invalid, 5 refused."
)]
pub(crate) struct Arguments {
    /// The daemon's socket; also SISKIN_SOCKET [default: /run/siskin/siskin.sock]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,
    /// Print what the API answers, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The daemon at a glance
    #[command(after_help = "Example: siskin status")]
    Status,
    /// BGP sessions, or one of them in full
    #[command(after_help = "Examples:\n  siskin peers\n  siskin peers transit-a\n  siskin peers 192.0.2.1")]
    Peers {
        /// Name or address of a peer
        peer: Option<String>,
    },
    /// The routing table
    #[command(after_help = "\
Examples:
  siskin routes 203.0.113.1                  the route that address takes
  siskin routes 203.0.113.0/24 --detail      every attribute of its paths
  siskin routes 203.0.112.0/22 --longer      it and what lies within
  siskin routes --peer transit-a --filtered  what import rejected, with the rule
  siskin routes --exported --peer tor-left   what a peer was sent
  siskin routes --best --count

Marks: * best, = shares the load, ! next hop unreachable, x rejected, s stale.")]
    Routes(RoutesArguments),
    /// Why a prefix is routed as it is
    #[command(after_help = "\
Shows what was received, the checks and policy rules it met, the decision step by step, what the kernel has,
and whom it was sent to or why not.

Examples:
  siskin explain 203.0.113.0/24
  siskin explain 203.0.113.1 --peer transit-b")]
    Explain {
        /// A prefix, or an address: then the longest prefix that covers it
        #[arg(value_name = "PREFIX|ADDRESS")]
        prefix: Selector,
        /// Only the path from this peer, and what it was sent
        #[arg(long, value_name = "PEER")]
        peer: Option<String>,
    },
    /// Addresses of virtual machines on this host
    #[command(after_help = "Example: siskin host-routes")]
    HostRoutes {
        #[command(subcommand)]
        action: Option<HostRoutesAction>,
    },
    /// What VM ports were refused, and what their filter dropped
    #[command(after_help = "Examples:\n  siskin guard\n  siskin guard --all\n  siskin guard remove")]
    Guard {
        /// Ports that did no wrong, too
        #[arg(long)]
        all: bool,
        #[command(subcommand)]
        action: Option<GuardAction>,
    },
    /// Our routes in the kernel, with their state
    #[command(after_help = "\
Examples:
  siskin fib 203.0.113.1
  siskin fib --state failed
  siskin fib --check")]
    Fib(FibArguments),
    /// Next hops: the kernel's objects, and those of BGP paths
    #[command(after_help = "Example: siskin nexthops")]
    Nexthops,
    /// Validated origins (RPKI): the caches, their data, and what it says about a route
    #[command(after_help = "\
Examples:
  siskin rpki
  siskin rpki check 192.0.2.0/24 64496")]
    Rpki {
        #[command(subcommand)]
        action: Option<RpkiAction>,
    },
    /// Routing registries and PeeringDB: what they last said, and what of it is in force
    #[command(after_help = "\
Examples:
  siskin irr
  siskin irr show AS-EXAMPLE
  siskin irr refresh ix-neighbour
  siskin irr accept ix-neighbour")]
    Irr {
        #[command(subcommand)]
        action: Option<IrrAction>,
    },
    /// What a peer's import and export do: as text, with a made-up route, with a whole table
    #[command(after_help = "\
Examples:
  siskin policy show transit-a
  siskin policy test transit-a 192.0.2.0/24 --as-path \"64496 64511\"
  siskin policy test transit-a --mrt ./rib.20260101.0000.gz")]
    Policy {
        #[command(subcommand)]
        action: PolicyAction,
    },
    /// Do something to a BGP session
    #[command(after_help = "\
Examples:
  siskin peer transit-a down
  siskin peer transit-a refresh-in
  siskin peer transit-a drain")]
    Peer {
        /// Name or address of a peer
        peer: String,
        /// What to do
        action: PeerVerb,
    },
    /// Move traffic away from this router: announce with GRACEFUL_SHUTDOWN (RFC 8326), then nothing
    #[command(after_help = "Sessions stay up, and routes are still received.\n\nExample: siskin drain")]
    Drain,
    /// Announce to all peers again
    #[command(after_help = "Example: siskin undrain")]
    Undrain,
    /// The configuration: check a file, show what is in force, put a file in force
    #[command(after_help = "\
Examples:
  siskin config check ./siskin.toml    needs no running daemon
  siskin config apply")]
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// What happens, as it happens
    #[command(after_help = "Examples:\n  siskin monitor\n  siskin monitor peers --json")]
    Monitor {
        /// Only events of this kind
        kind: Option<EventKind>,
    },
    /// Completions for a shell
    #[command(after_help = "Example: siskin completions bash > /etc/bash_completion.d/siskin")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The manual page
    #[command(after_help = "Examples:\n  siskin man | man -l -\n  siskin man --out /usr/share/man/man1")]
    Man {
        /// Write the pages of all commands into this folder
        #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RoutesArguments {
    /// A prefix, or an address: then the longest prefix that covers it
    #[arg(value_name = "PREFIX|ADDRESS")]
    pub(crate) prefix: Option<Selector>,
    /// Only paths from this peer (with --exported: sent to it)
    #[arg(long, value_name = "PEER")]
    pub(crate) peer: Option<String>,
    #[command(flatten)]
    view: ViewArguments,
    /// With a prefix: what lies within it, too
    #[arg(long, requires = "prefix")]
    pub(crate) longer: bool,
    /// Only IPv4
    #[arg(short = '4', long = "ipv4", conflicts_with = "ipv6")]
    ipv4: bool,
    /// Only IPv6
    #[arg(short = '6', long = "ipv6")]
    ipv6: bool,
    /// Every attribute of each path
    #[arg(long, short)]
    pub(crate) detail: bool,
    /// Only how many prefixes there are
    #[arg(long, conflicts_with_all = ["limit", "detail"])]
    pub(crate) count: bool,
    /// No more prefixes than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct ViewArguments {
    /// As the peers sent them, rejected ones included
    #[arg(long)]
    received: bool,
    /// What import rejected, with the rule that did it
    #[arg(long)]
    filtered: bool,
    /// Best paths alone
    #[arg(long)]
    best: bool,
    /// What --peer was sent
    #[arg(long, requires = "peer")]
    exported: bool,
    /// What is in the kernel
    #[arg(long)]
    fib: bool,
}

impl RoutesArguments {
    /// Which paths are asked for.
    pub(crate) fn view(&self) -> View {
        let view = &self.view;
        [
            (view.received, View::Received),
            (view.filtered, View::Filtered),
            (view.best, View::Best),
            (view.exported, View::Exported),
            (view.fib, View::Fib),
        ]
        .into_iter()
        .find_map(|(wanted, view)| wanted.then_some(view))
        .unwrap_or_default()
    }

    /// The family asked for.
    pub(crate) fn family(&self) -> Option<siskin_net::Family> {
        family(self.ipv4, self.ipv6)
    }
}

#[derive(Debug, Args)]
pub(crate) struct FibArguments {
    /// Compare our routes with the kernel's; exit code 1 if they differ
    #[arg(long, conflicts_with_all = ["prefix", "state", "ipv4", "ipv6", "limit"])]
    pub(crate) check: bool,
    /// A prefix, or an address: then the longest prefix that covers it
    #[arg(value_name = "PREFIX|ADDRESS")]
    pub(crate) prefix: Option<Selector>,
    /// Only routes in this state
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<FibWord>,
    /// Only IPv4
    #[arg(short = '4', long = "ipv4", conflicts_with = "ipv6")]
    ipv4: bool,
    /// Only IPv6
    #[arg(short = '6', long = "ipv6")]
    ipv6: bool,
    /// No more routes than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
}

impl FibArguments {
    /// The family asked for.
    pub(crate) fn family(&self) -> Option<siskin_net::Family> {
        family(self.ipv4, self.ipv6)
    }
}

fn family(ipv4: bool, ipv6: bool) -> Option<siskin_net::Family> {
    match (ipv4, ipv6) {
        (true, _) => Some(siskin_net::Family::Ipv4),
        (_, true) => Some(siskin_net::Family::Ipv6),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FibWord {
    /// The kernel has it
    Installed,
    /// Still to be written
    Pending,
    /// The kernel refused it
    Failed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PeerVerb {
    /// Switch it on
    Up,
    /// Switch it off
    Down,
    /// End the session and start it again
    Restart,
    /// Ask the peer for all its routes
    RefreshIn,
    /// Send the peer all routes again
    RefreshOut,
    /// Move traffic away: announce with GRACEFUL_SHUTDOWN (RFC 8326), then nothing
    Drain,
    /// Announce again
    Undrain,
}

impl From<PeerVerb> for PeerAction {
    fn from(verb: PeerVerb) -> PeerAction {
        match verb {
            PeerVerb::Up => PeerAction::Up,
            PeerVerb::Down => PeerAction::Down,
            PeerVerb::Restart => PeerAction::Restart,
            PeerVerb::RefreshIn => PeerAction::RefreshIn,
            PeerVerb::RefreshOut => PeerAction::RefreshOut,
            PeerVerb::Drain => PeerAction::Drain,
            PeerVerb::Undrain => PeerAction::Undrain,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostRoutesAction {
    /// Every address, with where it is and how it is known (what `siskin host-routes` alone does)
    #[command(after_help = "Example: siskin host-routes list --json")]
    List,
    /// The last moves of addresses between ports and hypervisors
    #[command(after_help = "Example: siskin host-routes history")]
    History,
    /// Declare a VM until it is removed, also after a restart of the daemon
    #[command(after_help = "\
Examples:
  siskin host-routes add vmbr1 198.51.100.30 2001:db8:100::80 --mac 52:02:45:76:d2:35 --port tap101i0
  siskin host-routes add vmbr1 198.51.100.30 --mac 52:02:45:76:d2:35 --standby")]
    Add {
        #[command(flatten)]
        of: HostRouteArguments,
        /// The VM's MAC address: its addresses are accepted from no other
        #[arg(long, value_name = "MAC")]
        mac: String,
        /// The name of its port; without it any port of the interface will do
        #[arg(long, value_name = "PORT")]
        port: Option<String>,
        /// The VM's name, for people
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// It is still on another hypervisor: nothing is announced before it is heard here
        #[arg(long)]
        standby: bool,
    },
    /// End what was declared with `add`
    #[command(after_help = "Example: siskin host-routes remove vmbr1 198.51.100.30")]
    Remove {
        #[command(flatten)]
        of: HostRouteArguments,
    },
    /// The VM is about to move: its route yields to the first one from another hypervisor
    #[command(after_help = "Example: siskin host-routes migrate vmbr1 198.51.100.30")]
    Migrate {
        #[command(flatten)]
        of: HostRouteArguments,
    },
    /// Look at what host routes need of this host, without the daemon; 1 if anything is wrong
    #[command(after_help = "\
Examples:
  siskin host-routes doctor
  siskin host-routes doctor --fix")]
    Doctor {
        /// Set what is wrong; what is set lasts until the next start of the host
        #[arg(long)]
        fix: bool,
        /// The configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG, value_hint = ValueHint::FilePath)]
        config: PathBuf,
    },
    /// Withdraw until the VM is heard again; a frozen address is free again
    #[command(after_help = "Example: siskin host-routes release vmbr1 198.51.100.30")]
    Release {
        #[command(flatten)]
        of: HostRouteArguments,
    },
}

#[derive(Debug, Args)]
pub(crate) struct HostRouteArguments {
    /// The interface, as in [host-routes.INTERFACE]
    pub(crate) interface: String,
    /// Addresses of the VM
    #[arg(required = true, value_name = "ADDRESS")]
    pub(crate) addresses: Vec<std::net::IpAddr>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GuardAction {
    /// Take the filter out of the kernel, until the configuration is applied again or the daemon starts
    #[command(after_help = "Works also without a daemon, on what it left.\n\nExample: siskin guard remove")]
    Remove,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Check a file, without a daemon; 4 where it has errors
    #[command(after_help = "Example: siskin config check /etc/siskin/siskin.toml")]
    Check {
        /// The main file
        #[arg(default_value = DEFAULT_CONFIG, value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// What is in force: groups merged, defaults filled in, secrets hidden
    #[command(after_help = "Example: siskin config show")]
    Show,
    /// Make the daemon read its configuration again and put it in force; 4 where it has errors
    #[command(after_help = "\
Sessions whose settings did not change stay up.

Examples:
  siskin config apply
  siskin config apply ./candidate.toml    until the daemon's next start or reload")]
    Apply {
        /// Another main file, read by the daemon
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventKind {
    /// Sessions that come and go
    Peers,
    /// Routes the kernel refused
    Fib,
    /// Addresses of virtual machines
    HostRoutes,
    /// Configurations put in force or refused
    Config,
    /// Changes of validated data, and what they did to paths
    Rpki,
    /// Lists of routing registries
    Irr,
    /// Prefix limits that come near or are reached
    Limits,
}
