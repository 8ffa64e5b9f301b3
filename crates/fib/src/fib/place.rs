//! Where a route stands: the kernel table and the prefix. Tables have dense numbers here, in the order of their first use.

use siskin_net::{Family, Prefix};

/// Names a kernel table of ours, see [`Tables`].
pub(super) type TableId = u16;

/// The table of the configuration.
pub(super) const FIRST: TableId = 0;

/// A prefix in one of our tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) table: TableId,
    pub(super) prefix: Prefix,
}

impl Place {
    pub(super) fn family(self) -> Family {
        self.prefix.family()
    }
}

/// The kernel's numbers of our tables.
#[derive(Debug)]
pub(super) struct Tables {
    numbers: Vec<u32>,
}

impl Tables {
    /// The table of the configuration alone.
    pub(super) fn new(first: u32) -> Tables {
        Tables { numbers: vec![first] }
    }

    /// The kernel's number of a table.
    pub(super) fn number(&self, id: TableId) -> u32 {
        self.numbers.get(usize::from(id)).copied().unwrap_or(0)
    }

    /// The table of a kernel's number, if it is one of ours.
    pub(super) fn find(&self, number: u32) -> Option<TableId> {
        self.numbers.iter().zip(0..).find(|(known, _)| **known == number).map(|(_, id)| id)
    }

    /// The table of a kernel's number, which is ours from now on; `None` if there are too many.
    pub(super) fn add(&mut self, number: u32) -> Option<TableId> {
        self.find(number).or_else(|| {
            let id = TableId::try_from(self.numbers.len()).ok().filter(|id| *id < TableId::MAX)?;
            self.numbers.push(number);
            Some(id)
        })
    }

    /// All tables.
    pub(super) fn ids(&self) -> impl Iterator<Item = TableId> + use<> {
        0..TableId::try_from(self.numbers.len()).unwrap_or(TableId::MAX)
    }
}
