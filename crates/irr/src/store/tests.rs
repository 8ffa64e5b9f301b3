use std::sync::Arc;

use proptest::prelude::*;
use siskin_net::{Asn, Family, Prefix};

use super::*;

const V4: Part = Part::Prefixes(Family::Ipv4);

fn query() -> Query {
    Query { name: "AS64500:AS-X".into(), source: None, sources: vec!["RIPE".into(), "ARIN".into()] }
}

fn good(count: u128) -> Good {
    let list: Arc<[Prefix]> = (0..count).map(|n| Prefix::from_bits(Family::Ipv4, n << 104, 24)).collect();
    Good { data: Data::Prefixes(list), fetched: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
}

#[test]
fn lists_come_back_as_they_went() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(load(folder.path(), &query(), V4), Ok(None));
    save(folder.path(), &query(), V4, &good(100)).unwrap();
    save(folder.path(), &query(), V4, &good(7)).unwrap();
    assert_eq!(load(folder.path(), &query(), V4), Ok(Some(good(7))));
    // A private number may be the set itself.
    let members = Good { data: Data::Members(Arc::new([Asn(112), Asn(64_512)])), ..good(0) };
    save(folder.path(), &query(), Part::Members, &members).unwrap();
    assert_eq!(load(folder.path(), &query(), Part::Members), Ok(Some(members)));
    // Other sources, other list.
    assert_eq!(load(folder.path(), &Query { sources: vec![], ..query() }, V4), Ok(None));
    let files: Vec<String> = fs::read_dir(folder.path().join("irr"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files.len(), 2, "no left-overs: {files:?}");
    assert!(files.iter().all(|f| f.starts_with("AS64500+AS-X.")));
}

#[test]
fn a_file_of_another_set_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &query(), V4, &good(3)).unwrap();
    let other = Query { name: "AS-OTHER".into(), ..query() };
    fs::copy(file(folder.path(), &query(), V4), file(folder.path(), &other, V4)).unwrap();
    assert!(load(folder.path(), &other, V4).unwrap_err().ends_with("of another set"));
}

#[test]
fn lists_that_nobody_uses_go_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let other = Query { name: "AS-OTHER".into(), ..query() };
    save(folder.path(), &query(), V4, &good(3)).unwrap();
    save(folder.path(), &other, V4, &good(3)).unwrap();
    let left = || fs::read_dir(folder.path().join("irr")).unwrap().count();
    let used = [(query(), V4)];
    prune(folder.path(), &used, SystemTime::now()).unwrap();
    assert_eq!(left(), 2);
    prune(folder.path(), &used, SystemTime::now() + 2 * UNUSED).unwrap();
    assert_eq!((left(), load(folder.path(), &query(), V4)), (1, Ok(Some(good(3)))));
}

#[test]
fn json_is_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    let value = serde_json::json!({"records": [1, 2]});
    assert_eq!(load_json(folder.path(), "p.json"), Ok(None));
    save_json(folder.path(), "p.json", &value).unwrap();
    assert_eq!(load_json(folder.path(), "p.json"), Ok(Some(value)));
    fs::write(folder.path().join("p.json"), "{}\n").unwrap();
    assert!(load_json(folder.path(), "p.json").unwrap_err().ends_with("damaged"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_refused(at: prop::sample::Index, bit in 0u8..8, cut: bool) {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &query(), V4, &good(20)).unwrap();
        let path = file(folder.path(), &query(), V4);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        fs::write(&path, bytes).unwrap();
        prop_assert!(load(folder.path(), &query(), V4).is_err());
    }
}
