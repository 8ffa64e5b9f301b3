//! Local exceptions while the client runs: read again when they change, kept when they break.

use std::path::{Path, PathBuf};

use siskin_rpki_client::{Config, SlurmStatus};

use crate::pdus;
use crate::site::{Cache, Query, Site, config, ms};

const A: (&str, u32) = ("192.0.2.0/24", 64496);
const B: (&str, u32) = ("2001:db8::/32", 64497);
const C: (&str, u32) = ("198.51.100.0/24", 64498);

fn slurm(filters: &str, assertions: &str) -> String {
    format!(
        r#"{{"slurmVersion": 1,
        "validationOutputFilters": {{"prefixFilters": [{filters}], "bgpsecFilters": []}},
        "locallyAddedAssertions": {{"prefixAssertions": [{assertions}], "bgpsecAssertions": []}}}}"#
    )
}

#[tokio::test]
async fn a_file_is_followed_and_a_broken_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("slurm.json");
    let assertion = r#"{"asn": 64498, "prefix": "198.51.100.0/24"}"#;
    std::fs::write(&file, slurm(r#"{"asn": 64497}"#, assertion)).unwrap();
    let cache = Cache::start().await;
    let mut site = Site::start(Config { slurm: Some(file.clone()), ..config(&[&cache]) });
    let update = site.expect(&[C], &[]).await;
    assert!(!update.complete, "an assertion is no full set");
    let mut talk = cache.accept().await;
    assert_eq!(talk.query().await, Query::Reset(2));
    talk.send(&pdus::answer(2, 7, 1, &[A, B, C])).await;
    assert!(site.expect(&[A], &[]).await.complete);

    std::fs::write(&file, slurm(r#"{"prefix": "192.0.2.0/16", "asn": 64496}"#, "")).unwrap();
    let status = site.status(|s| s.slurm.as_ref().unwrap().error.is_some()).await;
    let told = status.slurm.unwrap();
    assert!(told.error.as_ref().unwrap().contains("did you mean 192.0.0.0/16"), "{told:?}");
    assert_eq!((told.filters, told.assertions), (1, 1), "the rules of before");
    site.expect_nothing().await;

    std::fs::write(&file, slurm(r#"{"prefix": "192.0.0.0/16", "asn": 64496}"#, "")).unwrap();
    site.expect(&[B], &[A]).await;
    let told = site.client.status().slurm.unwrap();
    assert_eq!(
        (told.path.as_path(), told.filters, told.assertions, told.error),
        (file.as_path(), 1, 0, None)
    );

    std::fs::remove_file(&file).unwrap();
    let status = site.status(|s| s.slurm.as_ref().unwrap().error.is_some()).await;
    assert_eq!(status.slurm.unwrap().filters, 1, "a file that is gone leaves its rules");
    site.expect_nothing().await;

    site.client.reconfigure(config(&[&cache]));
    site.expect(&[A], &[]).await;
    assert_eq!(site.client.status().slurm, None);
}

#[tokio::test]
async fn a_reload_reads_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("slurm.json");
    std::fs::write(&file, slurm("", "")).unwrap();
    let mut config = Config { slurm: Some(file.clone()), ..config(&[]) };
    config.timers.slurm_poll = ms(3_600_000);
    let mut site = Site::start(config);
    site.expect(&[], &[]).await;
    std::fs::write(&file, slurm("", r#"{"asn": 64496, "prefix": "192.0.2.0/24"}"#)).unwrap();
    site.expect_nothing().await;
    site.client.reload_slurm();
    site.expect(&[A], &[]).await;
}

/// Reads a file as the client does at its start.
async fn read(file: &Path) -> (SlurmStatus, usize) {
    let mut site = Site::start(Config { slurm: Some(file.to_path_buf()), ..config(&[]) });
    site.next().await;
    (site.client.status().slurm.expect("a status"), site.table.len())
}

/// The shapes that files have in the field, and those of other projects' tests where the shared data are beside the
/// project (`SISKIN_DATA` names another place).
#[tokio::test]
async fn files_as_they_are_in_the_field_are_read_or_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("own.json");
    // A generator of private networks adds members that RFC 8416 does not know, and leaves lists out.
    let private = r#"{"slurmVersion": 1, "locallyAddedAssertions": {"prefixAssertions": [
        {"asn": 4242420916, "prefix": "fd00:114:514::/48", "maxPrefixLength": 64, "mnt-by": "X"}]}}"#;
    std::fs::write(&file, private).unwrap();
    let (slurm, vrps) = read(&file).await;
    assert!(slurm.error.unwrap().contains("unknown field `mnt-by`"));
    assert_eq!(vrps, 0);
    std::fs::write(&file, private.replace(r#", "mnt-by": "X""#, "")).unwrap();
    let (slurm, vrps) = read(&file).await;
    assert_eq!((slurm.error, slurm.assertions, vrps), (None, 1, 1));

    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("SISKIN_DATA").map_or(beside, PathBuf::from);
    for (name, filters, assertions) in [
        ("routinator-full", 3, 2),
        ("rpki-rs-full", 3, 2),
        ("rpki-rs-full_v2", 4, 3),
        ("rpki-validator-3-slurm1", 3, 2),
        ("stayrtr-slurm", 3, 2),
        ("stayrtr-test.slurm", 1, 1),
    ] {
        let file = data.join(format!("rpki/slurm/{name}.json"));
        if !data.is_dir() {
            println!("not here: {}", file.display());
            continue;
        }
        let (slurm, vrps) = read(&file).await;
        assert_eq!((slurm.error, slurm.filters, slurm.assertions), (None, filters, assertions), "{name}");
        assert!(vrps > 0, "{name}");
    }
}
