//! How long reading and writing UPDATEs takes, on the update file given as argument (MRT, perhaps gzipped), else on a real
//! full table where the data are there, else on a table made here:
//! `cargo run --release -p siskin-bgp --example decode_speed -- updates.gz`.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement reads a file and the clock, and stops where it cannot"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use siskin_bgp::attr::AsPath;
use siskin_bgp::wire::{
    DecodeContext, EXTENDED_MAX_LEN, EncodeContext, MAX_LEN, MessageType, decode_nlri, decode_update,
    encode_update, encode_update_compact, frame, message_type,
};
use siskin_bgp::{PathAttributes, compact};
use siskin_net::{Asn, Family, FamilySet, Prefix};

#[path = "../tests/mrt/mod.rs"]
mod mrt;

const ENCODE: EncodeContext = EncodeContext {
    four_octet_as: true,
    max_len: MAX_LEN,
    extended_next_hop: false,
    add_path: FamilySet::EMPTY,
    external: true,
};

/// The best of five runs.
fn best(mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..5).map(time).min().unwrap_or_default()
}

fn report(what: &str, took: Duration, count: usize, unit: &str) {
    let each = took.as_secs_f64() * 1e9 / count.max(1) as f64;
    println!("{what:<28} {:8.1} ms  {each:8.1} ns/{unit}", took.as_secs_f64() * 1e3);
}

/// 250,000 attribute sets of four prefixes.
fn made_here() -> Vec<u8> {
    let mut stream = BytesMut::new();
    for n in 0..250_000u32 {
        let mut attributes = PathAttributes::originated([192, 0, 2, 1].into());
        attributes.as_path = AsPath::from_sequence([Asn(64500), Asn(3356), Asn(174), Asn(100_000 + n)]);
        attributes.communities.extend((0..4).map(|c| siskin_bgp::attr::Community(n << 16 | c)));
        let prefixes: Vec<Prefix> =
            (0..4).map(|p| Prefix::from_bits(Family::Ipv4, u128::from(n * 4 + p) << 104, 24)).collect();
        let _ = encode_update(&attributes, Family::Ipv4, &prefixes, &ENCODE, &mut stream);
    }
    stream.to_vec()
}

fn main() {
    let full_table = || mrt::data().map(|data| data.join("mrt/pch-updates.20151023.et-header.gz"));
    let (stream, external) = match std::env::args().nth(1).map(PathBuf::from).or_else(full_table) {
        Some(path) => {
            let messages = mrt::messages(&mrt::read(&path));
            let external = messages.iter().any(|seen| seen.external);
            let four_octets = messages.into_iter().filter(|seen| seen.four_octet_as);
            (four_octets.flat_map(|seen| seen.message).collect(), external)
        }
        None => (made_here(), true),
    };
    let ctx = DecodeContext {
        four_octet_as: true,
        families: FamilySet::BOTH,
        add_path: FamilySet::EMPTY,
        external,
        extended_next_hop: false,
        interface: 0,
    };
    let mut bodies = Vec::new();
    let mut buffer = BytesMut::from(&stream[..]);
    while let Ok(Some(message)) = frame(&mut buffer, EXTENDED_MAX_LEN) {
        if message_type(&message) == Some(MessageType::Update) {
            bodies.push(message.slice(19..));
        }
    }
    let updates: Vec<_> = bodies.iter().filter_map(|body| decode_update(body, &ctx).ok()).collect();
    let prefixes: usize = updates.iter().flat_map(|u| &u.reach).map(|r| r.prefixes.len()).sum();
    println!("{} UPDATEs, {prefixes} prefixes, {:.1} MB", bodies.len(), stream.len() as f64 / 1e6);

    let took = best(|| {
        let mut buffer = BytesMut::with_capacity(65536);
        for chunk in stream.chunks(32768) {
            buffer.put_slice(chunk);
            while let Ok(Some(message)) = frame(&mut buffer, EXTENDED_MAX_LEN) {
                black_box(message);
            }
        }
    });
    report("frame", took, bodies.len(), "message");
    let took = best(|| bodies.iter().for_each(|body| drop(black_box(decode_update(body, &ctx)))));
    report("decode_update", took, bodies.len(), "UPDATE");
    report("", took, prefixes, "prefix");

    let all: Vec<Prefix> =
        updates.iter().flat_map(|u| &u.reach).flat_map(|r| r.prefixes.iter().copied()).collect();
    let mut nlri = BytesMut::new();
    all.iter().for_each(|prefix| siskin_bgp::wire::encode_nlri(*prefix, None, &mut nlri));
    let family = all.first().map_or(Family::Ipv4, |prefix| prefix.family());
    // Runs of what a message holds, cut between prefixes.
    let mut runs = Vec::new();
    let mut rest = &nlri[..];
    while !rest.is_empty() {
        let mut cut = 0;
        while let Some(len) = rest.get(cut).filter(|_| cut < 4000) {
            cut += 1 + usize::from(len.div_ceil(8));
        }
        let (run, after) = rest.split_at(cut);
        runs.push(run);
        rest = after;
    }
    let took = best(|| {
        let (mut prefixes, mut ids) = (Vec::with_capacity(1024), Vec::new());
        for run in &runs {
            prefixes.clear();
            let _ = black_box(decode_nlri(family, run, false, &mut prefixes, &mut ids));
        }
    });
    report("decode_nlri", took, all.len(), "prefix");

    let sets: Vec<&PathAttributes> = updates.iter().filter_map(|u| u.attributes.as_ref()).collect();
    let mut form = Vec::new();
    let took = best(|| {
        for attributes in &sets {
            form.clear();
            compact::encode(attributes, &mut form);
            black_box(&form);
        }
    });
    report("compact::encode", took, sets.len(), "set");
    let forms: Vec<Vec<u8>> = sets
        .iter()
        .map(|attributes| {
            let mut form = Vec::new();
            compact::encode(attributes, &mut form);
            form
        })
        .collect();
    let octets: usize = forms.iter().map(Vec::len).sum();
    println!("{:<28} {:8.1} octets a set", "compact form", octets as f64 / forms.len().max(1) as f64);
    let took = best(|| forms.iter().for_each(|form| drop(black_box(compact::decode(form)))));
    report("compact::decode", took, sets.len(), "set");

    let mut by_set: HashMap<&[u8], Vec<Prefix>> = HashMap::new();
    let announcing = updates.iter().filter(|u| u.attributes.is_some());
    for (form, update) in forms.iter().zip(announcing) {
        by_set.entry(form).or_default().extend(update.reach.iter().flat_map(|r| r.prefixes.iter().copied()));
    }
    let mut by_set: Vec<(&[u8], Vec<Prefix>)> = by_set.into_iter().collect();
    // In the order of memory, as a table keeps them: this is not to measure cache misses.
    by_set.sort_unstable_by_key(|(form, _)| form.as_ptr());
    let mut out = BytesMut::with_capacity(1 << 20);
    let mut messages = 0;
    let took = best(|| {
        messages = 0;
        for (form, prefixes) in &by_set {
            out.clear();
            messages += encode_update_compact(form, family, prefixes, &ENCODE, &mut out).unwrap_or(0);
        }
    });
    report("encode_update_compact", took, messages, "UPDATE");
    report("", took, prefixes, "prefix");
}
