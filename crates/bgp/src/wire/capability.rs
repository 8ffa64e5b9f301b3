//! Capabilities (RFC 5492): multiprotocol 4760, route refresh 2918 and 7313, extended next hop 8950, extended message
//! 8654, role 9234, graceful restart 4724 and 8538, four-octet AS 6793, ADD-PATH 7911, FQDN. Unknown ones are kept as
//! they came and otherwise ignored; a known one with a wrong length is ignored too, as BIRD and FRR do in most cases.

use nom::combinator::all_consuming;
use nom::multi::{length_data, many0};
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};
use siskin_net::{Asn, Family, FamilySet, Role};
use smallvec::SmallVec;

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const EXTENDED_MESSAGE: u8 = 6;
const ROLE: u8 = 9;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
const ADD_PATH: u8 = 69;
const ENHANCED_REFRESH: u8 = 70;
const FQDN: u8 = 73;

/// What a speaker announces in its OPEN.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// The families of the multiprotocol capability that we know; `None`: it was not sent at all, which stands for
    /// IPv4 unicast alone.
    pub families: Option<FamilySet>,
    /// ROUTE-REFRESH is understood.
    pub route_refresh: bool,
    /// Its demarcation is understood too (RFC 7313).
    pub enhanced_refresh: bool,
    /// Families whose NLRI may come with an IPv6 next hop (RFC 8950): only IPv4 has a meaning here.
    pub extended_next_hop: FamilySet,
    /// Messages up to 65,535 octets (RFC 8654).
    pub extended_message: bool,
    /// The sender's AS in four octets.
    pub four_octet_as: Option<Asn>,
    /// What the sender can receive and wants to send with path identifiers.
    pub add_path: AddPath,
    /// Graceful restart.
    pub graceful_restart: Option<GracefulRestart>,
    /// The sender's roles, as they came: more than one is an error to be judged (RFC 9234 section 4.2).
    pub roles: SmallVec<[u8; 1]>,
    /// The sender's host and domain name.
    pub fqdn: Option<Fqdn>,
    /// Codes and values we do not know.
    pub unknown: Vec<(u8, Vec<u8>)>,
}

/// Families of the ADD-PATH capability, from the sender's side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AddPath {
    /// The sender can receive several paths.
    pub receive: FamilySet,
    /// The sender would send several paths.
    pub send: FamilySet,
}

/// The graceful restart capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GracefulRestart {
    /// The sender has restarted (R).
    pub restarting: bool,
    /// The sender also holds routes over a NOTIFICATION (N, RFC 8538).
    pub notification: bool,
    /// How long the sender takes to come back at most, in seconds, below 4096.
    pub restart_time: u16,
    /// The families it covers.
    pub families: FamilySet,
    /// The families whose forwarding state was preserved (F).
    pub forwarding: FamilySet,
}

/// The names of draft-walton-bgp-hostname-capability, sent by FRR and BIRD.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fqdn {
    /// The host's name; what is not UTF-8 is replaced, control characters are dropped.
    pub host: String,
    /// Its domain, often empty.
    pub domain: String,
}

type Octets<'a, T> = IResult<&'a [u8], T>;

impl Capabilities {
    /// Each capability in words, named as the IANA registry names it, with its parameters in brackets.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let of_families = |name: &str, families: FamilySet| {
            families.iter().map(|f| format!("{name} ({f}-unicast)")).collect::<Vec<_>>()
        };
        let mut words = of_families("multiprotocol", self.families.unwrap_or_default());
        let flags = [
            (self.route_refresh, "route refresh"),
            (self.enhanced_refresh, "enhanced route refresh"),
            (self.extended_message, "extended message"),
        ];
        words.extend(flags.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()));
        words.extend(self.four_octet_as.map(|asn| format!("four-octet AS ({asn})")));
        words.extend(of_families("extended next hop", self.extended_next_hop));
        words.extend(of_families("ADD-PATH receive", self.add_path.receive));
        words.extend(of_families("ADD-PATH send", self.add_path.send));
        words.extend(
            self.graceful_restart.as_ref().map(|g| format!("graceful restart ({} s)", g.restart_time)),
        );
        words.extend(self.roles.iter().map(|role| format!("role ({role})")));
        words.extend(self.fqdn.as_ref().map(|f| format!("FQDN ({})", f.host)));
        words.extend(self.unknown.iter().map(|(code, _)| format!("unknown ({code})")));
        words
    }

    /// Reads the value of a Capabilities parameter, adding to what earlier ones said.
    ///
    /// # Errors
    /// A capability that overruns the parameter.
    pub fn read(&mut self, octets: &[u8]) -> Result<(), nom::Err<nom::error::Error<Vec<u8>>>> {
        let (_, list) = all_consuming(many0((be_u8, length_data(be_u8)))).parse(octets).map_err(own)?;
        for (code, value) in list {
            // A known capability with a malformed value says nothing we could use: it is ignored.
            if let Ok((_, false)) = self.read_one(code, value) {
                self.unknown.push((code, value.to_vec()));
            }
        }
        Ok(())
    }

    /// Reads one capability; `false`: it is not known here.
    fn read_one<'a>(&mut self, code: u8, value: &'a [u8]) -> Octets<'a, bool> {
        let rest_of = match code {
            MULTIPROTOCOL => {
                let (rest, (afi, _, safi)) = (be_u16, be_u8, be_u8).parse(value)?;
                let families = self.families.unwrap_or_default();
                self.families = Some(Family::from_wire(afi, safi).map_or(families, |f| families.with(f)));
                rest
            }
            ROUTE_REFRESH => {
                self.route_refresh = true;
                value
            }
            ENHANCED_REFRESH => {
                self.enhanced_refresh = true;
                value
            }
            EXTENDED_MESSAGE => {
                self.extended_message = true;
                value
            }
            EXTENDED_NEXT_HOP => {
                let (rest, triples) = all_consuming(many0((be_u16, be_u16, be_u16))).parse(value)?;
                for (afi, safi, next_hop_afi) in triples {
                    let family = u8::try_from(safi).ok().and_then(|safi| Family::from_wire(afi, safi));
                    if let (Some(family), 2) = (family, next_hop_afi) {
                        self.extended_next_hop = self.extended_next_hop.with(family);
                    }
                }
                rest
            }
            ROLE => {
                let (rest, role) = be_u8(value)?;
                self.roles.push(role);
                rest
            }
            GRACEFUL_RESTART => {
                let (rest, capability) = graceful_restart(value)?;
                self.graceful_restart = Some(capability);
                rest
            }
            FOUR_OCTET_AS => {
                let (rest, asn) = be_u32(value)?;
                self.four_octet_as = Some(Asn(asn));
                rest
            }
            ADD_PATH => {
                let (rest, entries) = all_consuming(many0((be_u16, be_u8, be_u8))).parse(value)?;
                for (afi, safi, mode) in entries {
                    self.add_path.note(Family::from_wire(afi, safi), mode);
                }
                rest
            }
            FQDN => {
                let (rest, (host, domain)) = (length_data(be_u8), length_data(be_u8)).parse(value)?;
                self.fqdn = Some(Fqdn { host: printable(host), domain: printable(domain) });
                rest
            }
            _ => return Ok((value, false)),
        };
        Ok((rest_of, true))
    }

    /// The role the sender says it has, seen from here (a sender that is a provider is our provider). `None`: none was
    /// sent. An error: an unassigned value, or two that differ.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn role(&self) -> Result<Option<Role>, u8> {
        let Some(first) = self.roles.first() else { return Ok(None) };
        match self.roles.iter().find(|role| *role != first) {
            Some(other) => Err(*other),
            None => role_of(*first).map(Some).ok_or(*first),
        }
    }

    /// The capabilities, one element each, code and length included.
    #[must_use]
    pub fn encode(&self) -> Vec<Vec<u8>> {
        let mut list = Vec::new();
        let mut put = |code: u8, value: &[u8]| {
            if let Ok(length) = u8::try_from(value.len()) {
                list.push([&[code, length], value].concat());
            }
        };
        for family in self.families.into_iter().flat_map(families) {
            put(MULTIPROTOCOL, &[afi(family), [0, family.safi()]].concat());
        }
        if self.route_refresh {
            put(ROUTE_REFRESH, &[]);
        }
        if !self.extended_next_hop.is_empty() {
            let triple = |f: Family| [afi(f), [0, f.safi()], [0, 2]].concat();
            put(EXTENDED_NEXT_HOP, &families(self.extended_next_hop).flat_map(triple).collect::<Vec<u8>>());
        }
        if self.extended_message {
            put(EXTENDED_MESSAGE, &[]);
        }
        for role in &self.roles {
            put(ROLE, &[*role]);
        }
        if let Some(restart) = &self.graceful_restart {
            put(GRACEFUL_RESTART, &restart.encode());
        }
        if let Some(asn) = self.four_octet_as {
            put(FOUR_OCTET_AS, &asn.0.to_be_bytes());
        }
        let add_path = self.add_path.encode();
        if !add_path.is_empty() {
            put(ADD_PATH, &add_path);
        }
        if self.enhanced_refresh {
            put(ENHANCED_REFRESH, &[]);
        }
        if let Some(fqdn) = &self.fqdn {
            put(FQDN, &[name(&fqdn.host), name(&fqdn.domain)].concat());
        }
        for (code, value) in &self.unknown {
            put(*code, value);
        }
        list
    }
}

impl AddPath {
    fn note(&mut self, family: Option<Family>, mode: u8) {
        let Some(family) = family else { return };
        if matches!(mode, 1 | 3) {
            self.receive = self.receive.with(family);
        }
        if matches!(mode, 2 | 3) {
            self.send = self.send.with(family);
        }
    }

    fn encode(self) -> Vec<u8> {
        let mode = |f| u8::from(self.receive.contains(f)) | u8::from(self.send.contains(f)) << 1;
        let entry = |f: Family| [afi(f), [f.safi(), mode(f)]].concat();
        Family::ALL.into_iter().filter(|f| mode(*f) != 0).flat_map(entry).collect()
    }
}

impl GracefulRestart {
    fn encode(&self) -> Vec<u8> {
        let flags = u16::from(self.restarting) << 15 | u16::from(self.notification) << 14;
        let mut value = (flags | self.restart_time & 0x0fff).to_be_bytes().to_vec();
        for family in families(self.families) {
            let forwarding = if self.forwarding.contains(family) { 0x80 } else { 0 };
            value.extend([afi(family), [family.safi(), forwarding]].concat());
        }
        value
    }
}

/// The wire value of the role the local side has towards a peer of this role (RFC 9234 section 4.1).
pub(crate) const fn local_role(peer: Role) -> u8 {
    match peer {
        Role::Provider => 3,
        Role::Customer => 0,
        Role::Peer => 4,
        Role::RouteServer => 2,
        Role::RouteServerClient => 1,
    }
}

const fn role_of(wire: u8) -> Option<Role> {
    match wire {
        0 => Some(Role::Provider),
        1 => Some(Role::RouteServer),
        2 => Some(Role::RouteServerClient),
        3 => Some(Role::Customer),
        4 => Some(Role::Peer),
        _ => None,
    }
}

fn graceful_restart(value: &[u8]) -> Octets<'_, GracefulRestart> {
    let (value, head) = be_u16(value)?;
    let (rest, entries) = all_consuming(many0((be_u16, be_u8, be_u8))).parse(value)?;
    let mut capability = GracefulRestart {
        restarting: head & 0x8000 != 0,
        notification: head & 0x4000 != 0,
        restart_time: head & 0x0fff,
        ..GracefulRestart::default()
    };
    for (afi, safi, flags) in entries {
        if let Some(family) = Family::from_wire(afi, safi) {
            capability.families = capability.families.with(family);
            if flags & 0x80 != 0 {
                capability.forwarding = capability.forwarding.with(family);
            }
        }
    }
    Ok((rest, capability))
}

fn families(set: FamilySet) -> impl Iterator<Item = Family> {
    Family::ALL.into_iter().filter(move |f| set.contains(*f))
}

const fn afi(family: Family) -> [u8; 2] {
    family.afi().to_be_bytes()
}

/// A length octet and at most 64 octets of a name, which is how long a host's name may be.
fn name(text: &str) -> Vec<u8> {
    let octets: Vec<u8> = text.bytes().take(64).collect();
    [vec![u8::try_from(octets.len()).unwrap_or(0)], octets].concat()
}

fn printable(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).chars().filter(|c| !c.is_control()).collect()
}

fn own(error: nom::Err<nom::error::Error<&[u8]>>) -> nom::Err<nom::error::Error<Vec<u8>>> {
    error.map(|e| nom::error::Error::new(e.input.to_vec(), e.code))
}
