//! The whole way from a PeeringDB record to a list, and real pages, against the stand-ins.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use siskin_interop::Result;
use siskin_interop::irrd::{Irrd, Registry};
use siskin_interop::peeringdb::{Failure, PeeringDb, read_page, record};
use siskin_irr::{
    Client, Config, HostPort, Names, NetRecord, PeerRequest, PeeringDbConfig, SetRequest, Update,
    from_peeringdb, start,
};
use siskin_net::{Asn, Family, FamilySet};
use tokio::sync::mpsc::{Receiver, channel};

const SOON: Duration = Duration::from_secs(30);
/// How many records the pages have, and ours where there are none.
const RECORDS: usize = 500;

/// The real pages beside the project, or records of our own of the same number.
fn records() -> Result<Vec<Value>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("SISKIN_DATA").map_or(beside, PathBuf::from).join("peeringdb");
    if !folder.is_dir() {
        println!("no real pages beside the project: records of our own");
        return Ok((1..=500).map(|asn| record(asn, "RIPE::AS-X AS-Y", asn % 3 * 10, 0)).collect());
    }
    let mut records = read_page(&folder.join("prod-net-page1.json.gz"))?;
    records.append(&mut read_page(&folder.join("prod-net-page2.json.gz"))?);
    Ok(records)
}

fn client(server: &PeeringDb, irrd: Option<&Irrd>) -> (Client, Receiver<Update>) {
    let peeringdb = PeeringDbConfig { url: server.url(), ..PeeringDbConfig::default() };
    let mut config = Config { peeringdb, ..Config::default() };
    if let Some(irrd) = irrd {
        config.server = HostPort { host: irrd.address().ip().to_string(), port: irrd.address().port() };
    }
    let (sender, updates) = channel(16);
    (start(config, sender), updates)
}

async fn next(updates: &mut Receiver<Update>) -> Update {
    tokio::time::timeout(SOON, updates.recv()).await.expect("an update in time").expect("a client that runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_records_are_four_queries_and_all_are_read() -> Result {
    let records = records()?;
    assert_eq!(records.len(), RECORDS);
    let server = PeeringDb::start("127.0.0.1:0".parse()?, records.clone())?;
    let (client, mut updates) = client(&server, None);
    let asn = |record: &Value| Asn(u32::try_from(record["asn"].as_u64().unwrap()).unwrap());
    let request = |record: &Value| PeerRequest { asn: asn(record), sets: None, peeringdb: true };
    client.set_requests(records.iter().map(|r| (r["asn"].to_string(), request(r))).collect(), false);
    let mut found: BTreeMap<String, NetRecord> = BTreeMap::new();
    while found.len() < RECORDS {
        if let Update::Record { peer, record } = next(&mut updates).await {
            found.insert(peer, record);
        }
    }
    for record in &records {
        let ours = &found[&record["asn"].to_string()];
        let announced = |family: Family| ours.prefixes[family].map_or(0, u64::from);
        assert_eq!(ours.name, record["name"]);
        assert_eq!(announced(Family::Ipv4), record["info_prefixes4"].as_u64().unwrap_or(0), "{record}");
        assert_eq!(announced(Family::Ipv6), record["info_prefixes6"].as_u64().unwrap_or(0), "{record}");
        let (sets, ignored) = from_peeringdb(&ours.irr_as_set);
        assert_eq!(sets.is_empty(), record["irr_as_set"].as_str().unwrap_or("").is_empty(), "{record}");
        assert_eq!(ignored, [""; 0], "{record}");
    }
    assert_eq!(server.requests().len(), 4);
    assert_eq!(client.status().peeringdb.records, RECORDS);
    client.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_leads_from_a_record_to_a_list_when_peeringdb_recovers() -> Result {
    let text = "set AS-X AS112\nroute AS112 192.0.2.0/24 2001:db8::/32\nsource RADB\nset AS-X AS174\nroute AS174 38.0.0.0/8";
    let irrd = Irrd::start("127.0.0.1:0".parse()?, Registry::read(text)?)?;
    let server = PeeringDb::start("127.0.0.1:0".parse()?, vec![record(3333, "AS-X@RIPE", 100, 0)])?;
    server.fail(Some(Failure::Status(503)));
    let (client, mut updates) = client(&server, Some(&irrd));
    let sets = SetRequest { names: Names::Auto, sources: None, families: FamilySet::BOTH, members: true };
    let request = PeerRequest { asn: Asn(3333), sets: Some(sets), peeringdb: false };
    client.set_requests(BTreeMap::from([("ix".to_owned(), request)]), false);
    let Update::Lists { lists, .. } = next(&mut updates).await else { panic!("lists come first") };
    assert_eq!(lists.prefixes[Family::Ipv4], None);
    while client.status().peeringdb.last_error.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.status().peers["ix"].imports_nothing, Family::ALL);
    server.fail(None);
    client.refresh(Some("ix"));
    let lists = loop {
        match next(&mut updates).await {
            Update::Lists { lists, .. } if lists.members.is_some() => break lists,
            _ => {}
        }
    };
    assert_eq!((lists.label.as_str(), lists.members.as_deref()), ("RIPE::AS-X", Some(&[Asn(112)][..])));
    assert_eq!(lists.prefixes[Family::Ipv4].as_deref(), Some(&["192.0.2.0/24".parse()?][..]));
    assert_eq!(lists.prefixes[Family::Ipv6].as_deref(), Some(&["2001:db8::/32".parse()?][..]));
    client.stop().await;
    Ok(())
}
