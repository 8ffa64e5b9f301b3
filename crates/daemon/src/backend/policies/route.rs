//! A made-up route: its attributes from the words of the request.

use siskin_api::{ApiError, PolicyDirection, PolicyTestRequest};
use siskin_bgp::PathAttributes;
use siskin_bgp::attr::{AsPath, Origin, SegmentKind};
use siskin_net::{Asn, Family};
use siskin_policy::CommunityValue;
use siskin_rib::ImportProfile;

use crate::http::Answer;
use crate::kernel::local_attributes;

/// The most AS numbers of a made-up path.
const MAX_PATH: usize = 1_000;

/// The attributes of a test's route.
pub(super) fn attributes(request: &PolicyTestRequest, import: &ImportProfile) -> Answer<PathAttributes> {
    let family = request.prefix.family();
    let mut attributes = local_attributes(family, origin(request.origin.as_deref())?);
    let fallback = import.address.filter(|a| a.is_ipv4() == (family == Family::Ipv4));
    match (request.next_hop, request.direction) {
        (Some(address), _) => attributes.next_hop = siskin_net::NextHop::new(address),
        (None, PolicyDirection::Import) => {
            // A session of the other family carries a next hop that cannot be guessed.
            let address = fallback.or(import.address);
            attributes.next_hop = address.map_or(attributes.next_hop, siskin_net::NextHop::new);
        }
        (None, PolicyDirection::Export) => {}
    }
    attributes.as_path = match (&request.as_path, request.direction) {
        (Some(text), _) => as_path(text)?,
        (None, PolicyDirection::Import) if import.external => AsPath::from_sequence([import.asn]),
        (None, _) => AsPath::default(),
    };
    for text in &request.communities {
        let community: CommunityValue =
            text.parse().map_err(|_| ApiError::bad_request(format!("`{text}` is no community")))?;
        community.add_to(&mut attributes);
    }
    (attributes.med, attributes.local_pref, attributes.otc) = (request.med, request.local_pref, request.otc);
    Ok(attributes)
}

fn origin(word: Option<&str>) -> Answer<Origin> {
    match word {
        None | Some("igp") => Ok(Origin::Igp),
        Some("egp") => Ok(Origin::Egp),
        Some("incomplete") => Ok(Origin::Incomplete),
        Some(other) => Err(ApiError::bad_request(format!("`{other}` is no origin: igp, egp or incomplete"))),
    }
}

/// Reads `64496 64511 {64512 64513}`: numbers, and sets in braces.
fn as_path(text: &str) -> Answer<AsPath> {
    let wrong = |what: &str| ApiError::bad_request(format!("the AS path `{text}`: {what}"));
    let spaced = text.replace('{', " { ").replace('}', " } ").replace(',', " ");
    let mut path = AsPath::default();
    let mut run: Vec<Asn> = Vec::new();
    let (mut set, mut count) = (false, 0);
    let mut finish = |run: &mut Vec<Asn>, set: bool| {
        for part in run.chunks(255) {
            path.push_segment(if set { SegmentKind::Set } else { SegmentKind::Sequence }, part);
        }
        run.clear();
    };
    for word in spaced.split_whitespace() {
        match word {
            "{" | "}" if set == (word == "{") => return Err(wrong("braces do not match")),
            "{" | "}" => {
                finish(&mut run, set);
                set = !set;
            }
            number => {
                run.push(number.parse().map_err(|_| wrong(&format!("`{number}` is no AS number")))?);
                count += 1;
            }
        }
        if count > MAX_PATH {
            return Err(wrong("it is too long"));
        }
    }
    if set {
        return Err(wrong("a brace is not closed"));
    }
    finish(&mut run, false);
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_with_their_sets() {
        for text in ["", "64496", "64496 64511 64511", "64496 {64512 64513}", "1 {2} 3"] {
            assert_eq!(as_path(text).unwrap().to_string(), text);
        }
        assert_eq!(as_path("1 {2,3}").unwrap().to_string(), "1 {2 3}");
        for text in ["x", "1 {2", "1 2}", "{{1}}", "4294967296", "-1"] {
            assert!(as_path(text).is_err(), "{text}");
        }
        assert!(as_path(&"1 ".repeat(MAX_PATH + 1)).is_err());
    }
}
