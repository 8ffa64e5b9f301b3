//! What `nft -j list table` says of our tables: elements, counts, and everything else as one text to compare.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use serde_json::Value;
use siskin_neighbor::guard::{Counts, Element, Hook, Key, PortCount, Reason, Set};

/// A table as the kernel has it.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Listing {
    /// Elements of the sets that we fill.
    pub(crate) elements: BTreeSet<Element>,
    /// Elements that are none of ours: somebody added them.
    pub(crate) foreign: usize,
    /// Chains, rules and sets, without what changes by itself.
    pub(crate) rules: String,
    /// Chains on single interfaces that have their rule.
    pub(crate) interfaces: BTreeSet<String>,
}

/// Reads a listing; what it counted is added to `counts`.
pub(crate) fn read(json: &Value, hook: Hook, counts: &mut Counts) -> Listing {
    let mut listing = Listing::default();
    let mut rules = Vec::new();
    for object in json.get("nftables").and_then(Value::as_array).into_iter().flatten() {
        let Some((kind, body)) = object.as_object().and_then(|o| o.iter().next()) else { continue };
        match kind.as_str() {
            "metainfo" => continue,
            "counter" => read_counter(body, hook, counts),
            "set" | "map" => read_set(body, hook, &mut listing, counts),
            _ => {}
        }
        if let Some(chain) = interface_chain(kind, body) {
            if kind == "rule" {
                listing.interfaces.insert(chain.to_owned());
            }
            continue;
        }
        let mut body = body.clone();
        if let Some(fields) = body.as_object_mut() {
            for changing in ["handle", "elem", "packets", "bytes"] {
                fields.remove(changing);
            }
        }
        rules.push(format!("{kind} {body}"));
    }
    listing.rules = rules.join("\n");
    listing
}

/// The chain on a single interface that an object is, or is in. It may go with its interface.
fn interface_chain<'a>(kind: &str, body: &'a Value) -> Option<&'a str> {
    let field = match kind {
        "chain" => "name",
        "rule" => "chain",
        _ => return None,
    };
    let name = body.get(field)?.as_str()?;
    let number = name.strip_prefix('i')?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}

fn name(body: &Value) -> &str {
    body.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn number(body: &Value, field: &str) -> u64 {
    body.get(field).and_then(Value::as_u64).unwrap_or_default()
}

fn read_counter(body: &Value, hook: Hook, counts: &mut Counts) {
    if let Some(reason) = Reason::ALL.into_iter().find(|reason| reason.counter() == name(body)) {
        counts.reasons.insert((hook, reason), (number(body, "packets"), number(body, "bytes")));
    }
}

fn read_set(body: &Value, hook: Hook, listing: &mut Listing, counts: &mut Counts) {
    let elements = body.get("elem").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if let Some(set) = Set::ALL.into_iter().find(|set| set.name() == name(body)) {
        for element in elements {
            match key(element) {
                Some(key) => drop(listing.elements.insert(Element { set, key })),
                None => listing.foreign += 1,
            }
        }
    } else if let Some(reason) = Reason::ALL.into_iter().find(|reason| reason.by_port() == name(body)) {
        let ports = elements.iter().filter_map(|element| {
            let element = element.get("elem")?;
            let counter = element.get("counter")?;
            Some(PortCount {
                hook,
                port: element.get("val")?.as_str()?.to_owned(),
                reason,
                packets: number(counter, "packets"),
                bytes: number(counter, "bytes"),
            })
        });
        counts.ports.extend(ports);
    }
}

/// An element: a word, several of them, or a pair of a key and where to go.
fn key(element: &Value) -> Option<Key> {
    let mut key = Key::default();
    if let Some([of, verdict]) = element.as_array().map(Vec::as_slice) {
        part(of, &mut key)?;
        let target = verdict.get("goto")?.get("target")?.as_str()?;
        key.domain = Some(target.strip_prefix('d')?.parse().ok()?);
        return Some(key);
    }
    match element.get("concat").and_then(Value::as_array) {
        Some(parts) => {
            for of in parts {
                part(of, &mut key)?;
            }
        }
        None => part(element, &mut key)?,
    }
    Some(key)
}

/// A name, a MAC address, or an address; none of them can be taken for another: where a name stands it comes first, and
/// sets without a name hold only what is no name.
fn part(value: &Value, key: &mut Key) -> Option<()> {
    // Small integers are written as such: `::1` is 1.
    if let Some(bits) = value.as_u64() {
        key.address = Some(IpAddr::V6(Ipv6Addr::from_bits(bits.into())));
        return Some(());
    }
    let text = value.as_str()?;
    if let Some(bits) = text.strip_prefix("0x").and_then(|digits| u128::from_str_radix(digits, 16).ok()) {
        key.address = Some(IpAddr::V6(Ipv6Addr::from_bits(bits)));
    } else if let Ok(address) = text.parse() {
        key.address = Some(address);
    } else if let Ok(mac) = text.parse() {
        key.mac = Some(mac);
    } else {
        key.port = Some(Arc::from(text));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_counts_and_rules_are_told_apart() {
        let json: Value = serde_json::from_str(include_str!("listing.json")).unwrap();
        let mut counts = Counts::default();
        let listing = read(&json, Hook::Bridge, &mut counts);
        let shown: Vec<String> =
            listing.elements.iter().map(|e| format!("{} {}", e.set.name(), e.key)).collect();
        assert_eq!(
            shown,
            [
                "ports \"tap1\" : goto d0",
                "port_mac \"tap1\" . 52:00:00:00:00:01",
                "port_ipv6 \"tap1\" . 0x20010db8010000000000000000000001",
                "taken_ipv4 198.51.100.1",
                "router_ipv6 0x00000000000000000000000000000001",
            ]
        );
        assert_eq!(listing.foreign, 0);
        assert_eq!(counts.reasons[&(Hook::Bridge, Reason::SourceMac)], (7, 420));
        let port = &counts.ports[0];
        assert_eq!((port.port.as_str(), port.reason, port.packets), ("tap1", Reason::SourceMac, 6));
        let again = serde_json::from_str(&include_str!("listing.json").replace("420", "421")).unwrap();
        assert_eq!(read(&again, Hook::Bridge, &mut counts).rules, listing.rules, "counting is no change");
        let changed = serde_json::from_str(&include_str!("listing.json").replace("accept", "drop")).unwrap();
        assert_ne!(read(&changed, Hook::Bridge, &mut counts).rules, listing.rules);
    }
}
