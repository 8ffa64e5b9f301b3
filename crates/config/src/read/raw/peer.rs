//! `[peer.*]`, `[peer-group.*]`, `[dynamic-peer.*]`: one table of keys that all three share.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use siskin_net::{Asn, FamilySet, NamePattern, Prefix, Role};

use super::sections::{Key, List, name, table};
use crate::diagnostic::Report;
use crate::model::{AddPath, AsnRule, Bfd, Communities, GracefulRestart, IrrFilter, MaxPrefix, RpkiMode};
use crate::read::checks::{RawChecks, checks};
use crate::read::filter_values as filters;
use crate::read::peer_values::{self as values, RawFamilies, TtlSecurity};
use crate::read::{Section, Value};
use crate::source::Location;

/// One row a key: its field, its name in the file, its type, how it is read.
macro_rules! peer_keys {
    ($($field:ident $key:literal $type:ty = $read:expr;)*) => {
        /// The keys of peers, groups and dynamic peers.
        #[derive(Clone, Default)]
        pub(crate) struct PeerKeys {
            $(pub(crate) $field: Key<$type>,)*
            /// Keys that are there but could not be read; that is reported already.
            pub(crate) wrong: Vec<&'static str>,
        }

        impl PeerKeys {
            fn read(section: &mut Section<'_>, report: &mut Report) -> PeerKeys {
                let mut keys = PeerKeys::default();
                $(
                    keys.$field = section.get($key, report, $read);
                    if keys.$field.is_none() && section.entry($key).is_some() {
                        keys.wrong.push($key);
                    }
                )*
                keys
            }

            fn fill_from(&mut self, group: PeerKeys) {
                $(self.$field = self.$field.take().or(group.$field);)*
                self.wrong.extend(group.wrong);
            }
        }
    };
}

impl PeerKeys {
    /// Takes from `group` what is not given here. Of keys that exclude each other a peer's own one also hides the
    /// group's other.
    pub(crate) fn inherit(&mut self, group: &PeerKeys) {
        let mut group = group.clone();
        if self.password.is_some() || self.password_file.is_some() {
            group.password = None;
            group.password_file = None;
        }
        if self.next_hop_self.is_some() || self.next_hop_unchanged.is_some() {
            group.next_hop_self = None;
            group.next_hop_unchanged = None;
        }
        if self.multihop.is_some() || self.ttl_security.is_some() {
            group.multihop = None;
            group.ttl_security = None;
        }
        if let Some(own) = &mut self.checks
            && let Some(checks) = group.checks.take()
        {
            own.value.inherit(checks.value);
        }
        self.fill_from(group);
    }
}

peer_keys! {
    description "description" String = |v, r| v.text("a description", r);
    enabled "enabled" bool = Value::boolean;
    drain "drain" bool = Value::boolean;
    address "address" IpAddr = Value::address;
    interface "interface" String = interface;
    port "port" u16 = |v, r| v.integer(1..=65_535, r);
    source "source" IpAddr = Value::address;
    local_asn "local-asn" Asn = Value::asn;
    asn "asn" AsnRule = values::asn_rule;
    passive "passive" bool = Value::boolean;
    password "password" String = values::password;
    password_file "password-file" PathBuf = |v, r| v.text("a path", r).map(PathBuf::from);
    ttl_security "ttl-security" TtlSecurity = values::ttl_security;
    multihop "multihop" Option<u8> = values::multihop;
    hold_time "hold-time" Duration = values::hold_time;
    families "families" RawFamilies = values::families;
    add_path "add-path" AddPath = values::add_path;
    graceful_restart "graceful-restart" Option<GracefulRestart> = values::graceful_restart;
    role "role" Role = values::role;
    role_strict "role-strict" bool = Value::boolean;
    rpki "rpki" RpkiMode = filters::rpki_mode;
    irr "irr" Option<IrrFilter> = filters::irr;
    bogons "bogons" bool = Value::boolean;
    checks "checks" RawChecks = checks;
    max_prefix "max-prefix" Option<MaxPrefix> = filters::max_prefix;
    max_prefix_out "max-prefix-out" Option<MaxPrefix> = filters::max_prefix;
    import "import" String = name;
    export "export" String = name;
    default_originate "default-originate" FamilySet = values::default_originate;
    next_hop_self "next-hop-self" bool = Value::boolean;
    next_hop_unchanged "next-hop-unchanged" bool = Value::boolean;
    route_reflector_client "route-reflector-client" bool = Value::boolean;
    remove_private_as "remove-private-as" bool = Value::boolean;
    allow_own_as "allow-own-as" u8 = values::allow_own_as;
    enforce_first_as "enforce-first-as" bool = Value::boolean;
    local_pref "local-pref" u32 = |v, r| v.integer(0..=u64::from(u32::MAX), r);
    med "med" u32 = |v, r| v.integer(0..=u64::from(u32::MAX), r);
    table "table" u32 = table;
    prepend "prepend" u8 = |v, r| v.integer(0..=25, r);
    communities "communities" (Communities, Communities) = values::communities;
    bfd "bfd" Option<Bfd> = values::bfd;
}

/// The longest interface name of the kernel (IFNAMSIZ less its zero).
const MAX_INTERFACE: usize = 15;

pub(super) fn interface(value: Value<'_>, report: &mut Report) -> Option<String> {
    value.parsed("an interface name", report, |text| {
        if is_interface(text) {
            Ok(text.to_owned())
        } else {
            Err("expected 1 to 15 characters, like eth0 or vmbr1.100")
        }
    })
}

/// Whether the kernel would take the name.
pub(crate) fn is_interface(text: &str) -> bool {
    (1..=MAX_INTERFACE).contains(&text.len())
        && text != "."
        && text != ".."
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
}

/// `[peer.NAME]`.
pub(crate) struct RawPeer {
    pub(crate) group: Key<String>,
    pub(crate) keys: PeerKeys,
}

impl RawPeer {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawPeer {
        let group = section.get("group", report, name);
        let keys = PeerKeys::read(&mut section, report);
        section.finish(report);
        RawPeer { group, keys }
    }
}

/// `[peer-group.NAME]`.
pub(crate) struct RawPeerGroup {
    pub(crate) keys: PeerKeys,
}

impl RawPeerGroup {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawPeerGroup {
        let keys = PeerKeys::read(&mut section, report);
        if let Some((at, _)) = section.entry("group") {
            report.error(at, "a peer group cannot have a group of its own").label("groups do not nest");
        }
        if let Some(address) = &keys.address {
            report
                .error(address.at, "a peer group cannot have an address")
                .label("several peers would share it")
                .help("put it into each [peer.NAME]");
        }
        section.finish(report);
        RawPeerGroup { keys }
    }
}

/// `[dynamic-peer.NAME]`.
pub(crate) struct RawDynamicPeer {
    pub(crate) at: Location,
    pub(crate) group: Key<String>,
    pub(crate) range: List<Prefix>,
    pub(crate) interfaces: List<NamePattern>,
    /// `range` or `interfaces` stands there, right or wrong.
    pub(crate) has_range: bool,
    pub(crate) limit: Key<u32>,
    pub(crate) keys: PeerKeys,
}

impl RawDynamicPeer {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawDynamicPeer {
        let at = section.at;
        let range = section.get("range", report, ranges);
        let interfaces = section.get("interfaces", report, |v, r| v.list("interface names", r, pattern));
        let raw = RawDynamicPeer {
            at,
            group: section.get("group", report, name),
            range: range.map_or_else(Vec::new, |list| list.value),
            interfaces: interfaces.map_or_else(Vec::new, |list| list.value),
            has_range: section.entry("range").is_some() || section.entry("interfaces").is_some(),
            limit: section.get("limit", report, |v, r| v.integer(1..=10_000, r)),
            keys: PeerKeys::read(&mut section, report),
        };
        for at in [raw.keys.address.as_ref().map(|k| k.at), raw.keys.interface.as_ref().map(|k| k.at)] {
            let Some(at) = at else { continue };
            report
                .error(at, "a dynamic peer has no address or interface of its own")
                .label("not here")
                .help("`range` says where peers may come from, `interfaces` where they are looked for");
        }
        section.finish(report);
        raw
    }
}

/// `range`: one prefix or a list.
fn ranges(value: Value<'_>, report: &mut Report) -> Option<List<Prefix>> {
    if value.as_text().is_some() {
        let prefix = value.prefix(report)?;
        return Some(vec![crate::source::Spanned { value: prefix, at: value.at }]);
    }
    value.list("prefixes", report, Value::prefix)
}

pub(super) fn pattern(value: Value<'_>, report: &mut Report) -> Option<NamePattern> {
    value.parsed("an interface name", report, |text| {
        if is_interface(text) {
            Ok(NamePattern::new(text))
        } else {
            Err("expected a name or a pattern like swp*")
        }
    })
}
