//! What a stranger's octets amount to, without a session or a file: for `siskin-fuzz`, and for whoever wants to know
//! whether a file is one.

use crate::slurm::Slurm;
use crate::wire;

/// How many providers one ASPA PDU may name here.
const MAX_PROVIDERS: usize = 16_384;

/// Whether a text is a SLURM file (RFC 8416), with the number of its filters and of its assertions.
///
/// # Errors
/// Why it is none, in words.
pub fn slurm(text: &[u8]) -> Result<(usize, usize), String> {
    Slurm::parse(text).map(|slurm| (slurm.filters, slurm.assertions)).map_err(|error| error.to_string())
}

/// How many whole RTR PDUs stand at the beginning of `octets`, and how many octets they take.
///
/// # Errors
/// Why one of them is malformed, in words.
pub fn pdus(octets: &[u8]) -> Result<(usize, usize), String> {
    let (mut count, mut taken) = (0usize, 0usize);
    while let Some((_, len)) = wire::decode(octets.get(taken..).unwrap_or_default(), MAX_PROVIDERS)
        .map_err(|malformed| malformed.reason.to_owned())?
    {
        count = count.saturating_add(1);
        taken = taken.saturating_add(len);
    }
    Ok((count, taken))
}
