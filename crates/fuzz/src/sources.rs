//! What registries, PeeringDB, RTR caches and the operator's files may hold.

use siskin_irr::{SetName, from_peeringdb, parse_prefixes};
use siskin_net::Family;

/// A stream of IRRd replies: however it is split, the same replies are in it.
pub(crate) fn irr_replies(data: &[u8]) {
    let Some((piece, stream)) = data.split_first() else { return };
    let whole = siskin_irr::check::replies(stream, stream.len());
    let split = siskin_irr::check::replies(stream, usize::from(*piece));
    assert_eq!(whole, split);
    // The shortest reply is a letter and a newline.
    assert!(whole.is_ok_and(|count| count <= stream.len() / 2) || split.is_err());
}

/// The data of a reply: prefixes, or the members of a set; or as-set names of PeeringDB.
pub(crate) fn irr_lists(data: &[u8]) {
    for family in Family::ALL {
        if let Ok(list) = parse_prefixes(data, family) {
            assert!(list.len() <= data.len() && list.is_sorted());
            assert!(list.iter().all(|prefix| prefix.family() == family));
            let text: Vec<String> = list.iter().map(ToString::to_string).collect();
            assert_eq!(parse_prefixes(text.join(" ").as_bytes(), family), Ok(list));
        }
    }
    if let Ok(count) = siskin_irr::check::members(data) {
        assert!(count <= data.len());
    }
    let (sets, _) = from_peeringdb(&String::from_utf8_lossy(data));
    for set in sets {
        assert_eq!(set.to_string().parse::<SetName>(), Ok(set));
    }
}

/// An answer of PeeringDB's API.
pub(crate) fn peeringdb(data: &[u8]) {
    let records = siskin_irr::check::peeringdb_records(data);
    assert!(
        records.is_ok_and(|count| count <= data.len()) || siskin_irr::check::peeringdb_records(data).is_err()
    );
}

/// A SLURM file.
pub(crate) fn slurm(data: &[u8]) {
    if let Ok((filters, assertions)) = siskin_rpki_client::check::slurm(data) {
        assert!(filters.saturating_add(assertions) <= data.len());
    }
}

/// What an RTR cache sends.
pub(crate) fn rtr_pdus(data: &[u8]) {
    if let Ok((count, taken)) = siskin_rpki_client::check::pdus(data) {
        // A PDU's header has eight octets.
        assert!(taken <= data.len() && count <= taken / 8);
    }
}
