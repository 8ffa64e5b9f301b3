//! A table written is a table read; a table cut off is an error.

use super::*;

fn sample() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.mrt");
    let entries = [
        ("0.0.0.0/0", vec![Some(vec![1, 2, 3]), None]),
        ("192.0.2.0/24", vec![Some(vec![4]), Some(vec![5])]),
        ("2001:db8::/32", vec![None, Some(vec![6])]),
    ]
    .map(|(prefix, routes)| (prefix.parse().unwrap(), routes));
    write(&path, &[65_001, 4_200_000_002], &entries).unwrap();
    (dir, path)
}

fn of(path: &Path, asn: u32) -> Vec<(String, Vec<u8>)> {
    let mut seen = Vec::new();
    routes(path, asn, |prefix, attributes| {
        seen.push((prefix.to_string(), attributes.to_vec()));
        Ok(())
    })
    .unwrap();
    seen
}

#[test]
fn each_peer_has_its_own_routes() {
    let (_dir, path) = sample();
    assert_eq!(peers(&path).unwrap(), [65_001, 4_200_000_002]);
    assert_eq!(of(&path, 65_001), [("0.0.0.0/0".into(), vec![1, 2, 3]), ("192.0.2.0/24".into(), vec![4])]);
    assert_eq!(
        of(&path, 4_200_000_002),
        [("192.0.2.0/24".into(), vec![5]), ("2001:db8::/32".into(), vec![6])]
    );
}

#[test]
fn gzip_reads_alike() {
    let (dir, path) = sample();
    let packed = dir.path().join("t.mrt.gz");
    let mut out = flate2::write::GzEncoder::new(File::create(&packed).unwrap(), flate2::Compression::fast());
    out.write_all(&std::fs::read(&path).unwrap()).unwrap();
    out.finish().unwrap();
    assert_eq!(of(&packed, 65_001), of(&path, 65_001));
}

#[test]
fn a_cut_file_is_an_error() {
    let (_dir, path) = sample();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    assert!(routes(&path, 65_001, |_, _| Ok(())).is_err());
}
