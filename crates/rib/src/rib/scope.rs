//! A set of prefixes to look for in a walk over a whole table: most destinations are passed over by one look at a bitmap.

use siskin_net::{Family, FamilyMap, Prefix};

/// Leading bits of an address that the bitmap knows.
const BITS: u32 = 16;

/// Everything within some prefixes.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Sorted; none lies within another.
    prefixes: Vec<Prefix>,
    /// A bit for each run of addresses that some prefix has a part in; empty as long as there is no prefix.
    runs: FamilyMap<Vec<u64>>,
}

impl Scope {
    /// Adds what lies within more prefixes.
    pub(super) fn extend(&mut self, prefixes: Vec<Prefix>) {
        for prefix in &prefixes {
            self.mark(*prefix);
        }
        self.prefixes.extend(prefixes);
        self.prefixes.sort_unstable();
        self.prefixes.dedup_by(|inner, outer| outer.covers(*inner));
    }

    fn mark(&mut self, prefix: Prefix) {
        let runs = &mut self.runs[prefix.family()];
        runs.resize((1 << BITS) / 64, 0);
        let first = run(prefix.bits());
        let count = 1usize << BITS.saturating_sub(u32::from(prefix.len()));
        for at in first..first + count {
            if let Some(word) = runs.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
    }

    /// Whether a prefix of `family` that begins with these left-aligned bits may lie within it.
    #[inline]
    pub(super) fn may_contain(&self, family: Family, bits: u128) -> bool {
        let at = run(bits);
        self.runs[family].get(at / 64).is_some_and(|word| word & 1 << (at % 64) != 0)
    }

    /// Whether nothing of `family` lies within it.
    pub(super) fn lacks(&self, family: Family) -> bool {
        self.runs[family].is_empty()
    }

    /// Whether `prefix` lies within it.
    #[inline]
    pub(super) fn contains(&self, prefix: Prefix) -> bool {
        self.may_contain(prefix.family(), prefix.bits()) && self.finds(prefix)
    }

    fn finds(&self, prefix: Prefix) -> bool {
        let after = self.prefixes.partition_point(|candidate| *candidate <= prefix);
        after.checked_sub(1).and_then(|at| self.prefixes.get(at)).is_some_and(|outer| outer.covers(prefix))
    }
}

/// The run that an address lies in.
fn run(bits: u128) -> usize {
    usize::try_from(bits >> (128 - BITS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_scope_holds_what_lies_within_its_prefixes() {
        let mut scope = Scope::default();
        assert!(!scope.contains(prefix("0.0.0.0/0")) && !scope.contains(prefix("::/0")));
        scope.extend(vec![prefix("192.0.2.0/24"), prefix("10.0.0.0/8")]);
        scope.extend(vec![prefix("10.1.0.0/16"), prefix("2001:db8::/32")]);
        for inside in
            ["192.0.2.0/24", "192.0.2.7/32", "10.0.0.0/8", "10.255.0.0/24", "10.1.2.0/24", "2001:db8:1::/48"]
        {
            assert!(scope.contains(prefix(inside)), "{inside}");
        }
        for outside in ["192.0.2.0/23", "192.0.3.0/24", "0.0.0.0/0", "11.0.0.0/8", "2001:db9::/32", "::/0"] {
            assert!(!scope.contains(prefix(outside)), "{outside}");
        }
        scope.extend(vec![Prefix::default_route(Family::Ipv6)]);
        assert!(!scope.lacks(Family::Ipv6) && Scope::default().lacks(Family::Ipv6));
        assert!(scope.contains(prefix("ff00::/8")) && !scope.contains(prefix("1.0.0.0/8")));
    }
}
