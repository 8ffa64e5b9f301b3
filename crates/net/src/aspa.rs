//! Validated ASPA Payloads (draft-ietf-sidrops-aspa-profile section 3): which AS may pass a customer's routes upward.

use crate::Asn;

/// One VAP: `customer` names all its providers, for both address families.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Aspa {
    /// The AS that made the attestation.
    pub customer: Asn,
    /// Its providers, sorted and distinct; AS 0 alone says that it has none.
    pub providers: Vec<Asn>,
}
