//! Tests of the whole language: errors word by word, every form of the language on routes, properties of the parser.

mod errors;
mod evaluation;
mod identity;
mod language;
mod matching;

use std::collections::BTreeMap;
use std::sync::Arc;

use siskin_bgp::PathAttributes;
use siskin_bgp::attr::AsPath;
use siskin_net::{Asn, Prefix, Role, RouteSource};

use crate::*;

/// The sets that the tests name.
pub(crate) fn sets() -> Sets {
    let patterns = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
    let communities = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
    Sets {
        prefix_sets: BTreeMap::from([("own".to_owned(), patterns(&["203.0.113.0/24", "2001:db8::/32+"]))]),
        community_sets: BTreeMap::from([
            ("drain".to_owned(), communities(&["65535:0", "64500:666"])),
            ("internal".to_owned(), communities(&["64500:*", "64500:0:*", "rt:64500:*"])),
        ]),
        peers: None,
    }
}

pub(crate) fn source(name: &str, rules: &[&str]) -> PolicySource {
    let rule = |(i, text): (usize, &&str)| RuleSource {
        text: (*text).to_owned(),
        location: format!("siskin.toml:{}", i + 1),
    };
    PolicySource { name: name.to_owned(), rules: rules.iter().enumerate().map(rule).collect() }
}

pub(crate) fn compile_one(rules: &[&str]) -> Arc<Compiled> {
    match PolicySet::compile(vec![source("test", rules)], &sets()) {
        Ok(set) => set.get("test").unwrap(),
        Err(errors) => panic!("{rules:?}: {errors:?}"),
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// A route from the customer `left`: 192.0.2.0/24 by 65001 65002 65003.
fn attributes() -> PathAttributes {
    let mut attributes = PathAttributes::originated("198.51.100.7".parse().unwrap());
    attributes.as_path = AsPath::from_sequence([65001, 65002, 65003].map(Asn));
    for text in ["64500:100", "65001:200", "no-export", "64500:0:7", "rt:64500:9"] {
        text.parse::<CommunityValue>().unwrap().add_to(&mut attributes);
    }
    attributes.otc = Some(Asn(65001));
    attributes.originator_id = Some("192.0.2.99".parse().unwrap());
    attributes.cluster_list = [0xc000_0201, 7].into_iter().collect();
    attributes
}

fn view(attributes: &PathAttributes) -> RouteView<'_> {
    RouteView {
        prefix: prefix("192.0.2.0/24"),
        attributes,
        source: RouteSource::Bgp,
        peer: Some(PeerView { name: "left", asn: Asn(65001), role: Some(Role::Customer) }),
    }
}

/// Facts that answer the same to every question.
struct Fixed {
    rpki: Option<Rpki>,
    aspa: Option<Aspa>,
    irr: Option<bool>,
}

const UNKNOWN: Fixed = Fixed { rpki: None, aspa: None, irr: None };

impl Facts for Fixed {
    fn rpki(&self, _: Prefix, _: Option<Asn>) -> Option<Rpki> {
        self.rpki
    }
    fn aspa(&self, _: &AsPath, _: Option<PeerView<'_>>) -> Option<Aspa> {
        self.aspa
    }
    fn irr(&self, _: &str, _: Prefix, _: Option<Asn>) -> Option<bool> {
        self.irr
    }
    fn irr_covers(&self, _: &str, _: Prefix) -> Option<bool> {
        self.irr
    }
    fn irr_origin(&self, _: &str, origin: Option<Asn>) -> Option<bool> {
        self.irr.map(|holds| holds && origin.is_some())
    }
}
