//! How many prefixes of a family a peer may give: before policy (`received`) and after it (`accepted`).

/// What happens beyond a limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LimitAction {
    /// It is told, and no more.
    #[default]
    Warn,
    /// Further prefixes are not taken.
    Block,
    /// The session is to end; nothing is taken until it has.
    End,
}

/// The limits of one family; the default has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PrefixLimits {
    /// Of prefixes received, rejected ones included.
    pub received: Option<u32>,
    /// Of prefixes accepted.
    pub accepted: Option<u32>,
    /// Percent of a limit at which it is told that it comes near, 1 to 100.
    pub warn_at: u8,
    /// What happens beyond a limit.
    pub action: LimitAction,
}

impl PrefixLimits {
    /// Whether `count` prefixes are so many that one should be told, of a limit of `limit`.
    pub(crate) fn is_near(&self, count: u64, limit: u32) -> bool {
        count * 100 >= u64::from(limit) * u64::from(self.warn_at)
    }
}
