//! Why a built-in rule rejected a path, with what it was in this path: made when somebody asks, from the rule that the path
//! carries. `transit-asn: 3356 in the path`.

use siskin_bgp::PathAttributes;
use siskin_net::{Family, Prefix};
use siskin_policy::{Builtin, RuleId, explain_origin};

use super::{ImportProfile, IrrFilter, Stage};

impl ImportProfile {
    /// What a built-in rule objects to in a path; `None` where its name says it all, and of rules of policies. `now` is
    /// in seconds since 1970.
    #[must_use]
    pub fn reason(
        &self,
        rule: RuleId,
        prefix: Prefix,
        received: &PathAttributes,
        now: u64,
    ) -> Option<String> {
        let in_the_path = |asn| format!("{asn} in the path");
        let stage = Stage::of(self, received);
        match rule.builtin()? {
            Builtin::FirstAs => {
                let first = received.as_path.neighbor_as();
                let first = first.map_or_else(|| "no AS number".to_owned(), |asn| asn.to_string());
                Some(format!("the path begins with {first}, the peer is {}", self.asn))
            }
            Builtin::OwnNextHop => Some(format!("{} is ours", received.next_hop)),
            Builtin::NextHop => Some(format!("{} is not the peer {}", received.next_hop, self.address?)),
            Builtin::RoleLeak => Some(format!("OTC {} from a {}", received.otc?, self.role?.name())),
            Builtin::BogonAsn => self.bogon_asn(received).map(in_the_path),
            Builtin::TransitAsn => self.transit_asn(received).map(in_the_path),
            Builtin::NeverViaRouteServer => self.shy_asn(received).map(in_the_path),
            Builtin::PathLength => {
                let (len, most) = (received.as_path.decision_len(), self.edge.path_length?);
                Some(format!("{len} AS numbers, at most {most}"))
            }
            Builtin::BogonPrefix => Some(format!("{prefix} belongs to nobody")),
            Builtin::OwnPrefix => Some(format!("{prefix} is ours")),
            Builtin::Blocklist => match self.blocked_asn(received) {
                Some(asn) => Some(in_the_path(asn)),
                None => Some(format!("{prefix} is blocked")),
            },
            Builtin::PrefixLength => {
                let (shortest, longest) = self.edge.prefix_length?[prefix.family()];
                Some(format!("/{} is not within /{shortest} to /{longest}", prefix.len()))
            }
            Builtin::RpkiInvalid => Some(explain_origin(self.facts.vrps.as_ref()?, prefix, stage.origin)),
            Builtin::RpkiNotValid => Some(match self.facts.vrps {
                Some(_) => "no VRP covers it".to_owned(),
                None => "there are no VRPs".to_owned(),
            }),
            Builtin::AspaInvalid => {
                Some(self.facts.aspas.as_ref()?.detail(&received.as_path, self.asn, self.role))
            }
            Builtin::Irr => Some(format!("not in {}", self.irr.as_ref()?.describe(prefix.family(), now))),
            Builtin::IrrOrigin => {
                let origin = stage.origin.map_or_else(|| "an AS_SET".to_owned(), |asn| format!("AS {asn}"));
                Some(format!("{origin} is no member of {}", self.irr.as_ref()?.label))
            }
            Builtin::IrrMissing => {
                Some(format!("no list of {} yet, so nothing is imported", self.irr.as_ref()?.label))
            }
            Builtin::Blackhole if !prefix.is_host() => Some(format!("{prefix} is no single address")),
            Builtin::Blackhole => Some(match &self.irr {
                Some(irr) => format!("not within {}", irr.describe(prefix.family(), now)),
                None => "the peer has no `irr` that says what is its own".to_owned(),
            }),
            Builtin::MaxPrefix => {
                let limit = self.limits[prefix.family()].accepted?;
                Some(format!("the limit of {} prefixes is reached", grouped(u64::from(limit))))
            }
            _ => None,
        }
    }
}

impl IrrFilter {
    /// `AS-EXAMPLE (11,204 prefixes, 3 h old)`.
    fn describe(&self, family: Family, now: u64) -> String {
        let Some((list, entries)) = self.list.as_ref().and_then(|list| Some((list, list.entries[family]?)))
        else {
            return self.label.to_string();
        };
        let age = age(now.saturating_sub(list.fetched));
        let plural = if entries == 1 { "prefix" } else { "prefixes" };
        format!("{} ({} {plural}, {age} old)", self.label, grouped(entries as u64))
    }
}

/// `90 s`, `12 min`, `3 h`, `4 d`.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `11,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ages_are_short() {
        assert_eq!(
            [0, 999, 1_000, 11_204, 1_000_000].map(grouped),
            ["0", "999", "1,000", "11,204", "1,000,000"]
        );
        let ages = [5, 119, 120, 7_199, 7_200, 172_799, 172_800, 900_000].map(age);
        assert_eq!(ages, ["5 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d", "10 d"]);
    }
}
