//! `[[rule]]`: policy rules of the kernel, for routing by source.

use serde::{Serialize, Serializer};
use siskin_net::{Family, Prefix};

/// One `[[rule]]`: packets that match all that is given look up a table. At least one condition is given, and `from` and
/// `to` are of one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// Their source lies in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Prefix>,
    /// Their destination lies in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Prefix>,
    /// The interface they come in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iif: Option<String>,
    /// Their mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fwmark: Option<Mark>,
    /// The table they look up.
    pub table: u32,
    /// The rule's place: lower ones are asked first.
    pub priority: u32,
}

impl Rule {
    /// The families it is made for: that of its prefixes, or both.
    pub fn families(&self) -> impl Iterator<Item = Family> + use<> {
        let given = self.from.or(self.to).map(|prefix| prefix.family());
        Family::ALL.into_iter().filter(move |family| given.is_none_or(|given| given == *family))
    }
}

/// A packet's mark, as a firewall sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The mark.
    pub value: u32,
    /// Which of its bits count.
    pub mask: u32,
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.mask == u32::MAX {
            serializer.collect_str(&format_args!("{:#x}", self.value))
        } else {
            serializer.collect_str(&format_args!("{:#x}/{:#x}", self.value, self.mask))
        }
    }
}
