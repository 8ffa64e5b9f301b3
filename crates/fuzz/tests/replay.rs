//! Replays every corpus, whole, cut short and with octets changed: what a fuzzer would try first. `SISKIN_MUTATIONS=100000`
//! tries that many changed inputs of each file.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};

use siskin_fuzz::{TARGETS, Target, target};

/// How many changed inputs of each file are tried, unless the environment asks for more.
const MUTATIONS: u32 = 400;

fn corpus(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Runs a target; a panic in it names the input.
fn run(target: Target, path: &Path, input: &[u8]) {
    let caught = std::panic::catch_unwind(|| (target.run)(input));
    if caught.is_err() {
        panic!("{} on a change of {}: {input:02x?}", target.name, path.display());
    }
}

/// The same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    /// One to three places of the input with octets changed, left out, doubled or taken from elsewhere in it.
    fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        let mut changed = input.to_vec();
        for _ in 0..=self.below(3) {
            if changed.is_empty() {
                break;
            }
            let at = self.below(changed.len());
            let from = self.below(changed.len());
            match self.below(6) {
                0 => changed[at] ^= 1 << self.below(8),
                1 => changed[at] = [0, 0xff, 0x7f, 0x80, b'*', b'{', b'"'][self.below(7)],
                2 => drop(changed.remove(at)),
                3 => changed.insert(at, changed[from]),
                4 => changed[at] = changed[from],
                _ => {
                    let until = (from + self.below(16)).min(changed.len());
                    let copied = changed[from..until].to_vec();
                    changed.splice(at..at, copied);
                }
            }
        }
        changed
    }
}

fn replay(name: &str) {
    let target = target(name).expect("a target of that name");
    let files = corpus(target);
    assert!(!files.is_empty(), "{name} has no corpus");
    let wanted = std::env::var("SISKIN_MUTATIONS").ok();
    let mutations = wanted.map_or(MUTATIONS, |text| text.parse().expect("SISKIN_MUTATIONS is a number"));
    let mut numbers = Numbers(u64::from(mutations));
    for (path, input) in &files {
        run(target, path, input);
        let step = (input.len() / 200).max(1);
        for len in (0..input.len()).step_by(step) {
            run(target, path, &input[..len]);
        }
        for _ in 0..mutations {
            run(target, path, &numbers.mutate(input));
        }
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            assert_eq!(replayed.to_vec(), TARGETS.iter().map(|target| target.name).collect::<Vec<_>>());
        }
    };
}

replays! { rule_language patterns bgp_message bgp_update irr_replies irr_lists peeringdb slurm rtr_pdus vm_frames }
