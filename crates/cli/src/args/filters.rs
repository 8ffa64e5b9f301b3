//! The grammar of `siskin rpki`, `siskin irr` and `siskin policy`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use siskin_net::{Asn, Prefix};

#[derive(Debug, Subcommand)]
pub(crate) enum RpkiAction {
    /// Caches, their data and its age (what `siskin rpki` alone does)
    #[command(after_help = "Example: siskin rpki status --json")]
    Status,
    /// What validated data says about a route; 0 if it is valid, else 1
    #[command(after_help = "Example: siskin rpki check 192.0.2.0/24 64496")]
    Check {
        /// The prefix
        prefix: Prefix,
        /// The AS number of its origin, with or without `AS`
        #[arg(value_parser = asn)]
        asn: Asn,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum IrrAction {
    /// Each as-set in use, with its age and state (what `siskin irr` alone does)
    #[command(after_help = "Example: siskin irr status --json")]
    Status,
    /// Prefixes and members of an as-set in use
    #[command(after_help = "\
Examples:
  siskin irr show AS-EXAMPLE
  siskin irr show RIPE::AS-EXAMPLE -6 --limit 10000")]
    Show(IrrShowArguments),
    /// Ask the registries and PeeringDB again, for all peers or for one
    #[command(after_help = "Examples:\n  siskin irr refresh\n  siskin irr refresh ix-neighbour")]
    Refresh {
        /// Name or address of a peer
        peer: Option<String>,
    },
    /// Put lists in force that were kept back, because they were gone or had lost more than half
    #[command(after_help = "Example: siskin irr accept ix-neighbour")]
    Accept {
        /// Name or address of a peer
        peer: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IrrShowArguments {
    /// The as-set as the configuration has it
    #[arg(value_name = "AS-SET")]
    pub(crate) name: String,
    /// Only IPv4
    #[arg(short = '4', long = "ipv4", conflicts_with = "ipv6")]
    ipv4: bool,
    /// Only IPv6
    #[arg(short = '6', long = "ipv6")]
    ipv6: bool,
    /// No more prefixes and members than this [default: 1000, at most 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
}

impl IrrShowArguments {
    /// The family asked for.
    pub(crate) fn family(&self) -> Option<siskin_net::Family> {
        super::family(self.ipv4, self.ipv6)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyAction {
    /// Every built-in check and policy rule of a peer, in the order in which they are applied
    #[command(after_help = "Example: siskin policy show transit-a")]
    Show {
        /// Name or address of a peer
        peer: String,
    },
    /// What would become of a route; 0 if it is accepted, else 1. Nothing is changed
    #[command(after_help = "\
With --mrt a whole table is run through the peer's import, and the routes that each rule decides are counted:
0 if all are accepted, else 1. The daemon reads the file.

Examples:
  siskin policy test transit-a 192.0.2.0/24 --as-path \"64496 64511\" --community 64496:100,no-export
  siskin policy test transit-a 203.0.113.0/24 --export
  siskin policy test transit-a --mrt ./rib.20260101.0000.gz")]
    Test(Box<PolicyTestArguments>),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyTestArguments {
    /// Name or address of a peer
    pub(crate) peer: String,
    /// The prefix
    #[arg(required_unless_present = "mrt")]
    pub(crate) prefix: Option<Prefix>,
    /// AS_PATH, sets in braces [default: the peer's AS number alone]
    #[arg(long, value_name = "PATH")]
    pub(crate) as_path: Option<String>,
    /// Communities of any kind; several with commas, or the option again
    #[arg(long, value_name = "COMMUNITY", value_delimiter = ',')]
    pub(crate) community: Vec<String>,
    /// NEXT_HOP [default: the peer's address]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) next_hop: Option<IpAddr>,
    /// ORIGIN [default: igp]
    #[arg(long)]
    pub(crate) origin: Option<OriginWord>,
    /// MULTI_EXIT_DISC
    #[arg(long, value_name = "N")]
    pub(crate) med: Option<u32>,
    /// LOCAL_PREF
    #[arg(long, value_name = "N")]
    pub(crate) local_pref: Option<u32>,
    /// Only to Customer (RFC 9234)
    #[arg(long, value_name = "ASN", value_parser = asn)]
    pub(crate) otc: Option<Asn>,
    /// Test what the peer would be sent
    #[arg(long)]
    pub(crate) export: bool,
    /// With --export: the peer the route came from [default: it is our own]
    #[arg(long, value_name = "PEER", requires = "export")]
    pub(crate) from: Option<String>,
    /// Test every route of this MRT file (TABLE_DUMP_V2, plain or gzip)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = [
        "prefix", "as_path", "community", "next_hop", "origin", "med", "local_pref", "otc", "export",
    ])]
    pub(crate) mrt: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OriginWord {
    /// Interior to the originating AS
    Igp,
    /// Learned by EGP
    Egp,
    /// By other means
    Incomplete,
}

impl OriginWord {
    /// The word in the request.
    pub(crate) fn name(self) -> &'static str {
        match self {
            OriginWord::Igp => "igp",
            OriginWord::Egp => "egp",
            OriginWord::Incomplete => "incomplete",
        }
    }
}

/// `64496` or `AS64496`.
fn asn(text: &str) -> Result<Asn, String> {
    let digits = match text.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("AS") => text.get(2..).unwrap_or_default(),
        _ => text,
    };
    // `parse` alone would take a sign.
    let number = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    number.map(Asn).ok_or_else(|| "an AS number is expected, like 64496 or AS64496".to_owned())
}
