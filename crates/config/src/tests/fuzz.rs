//! Any text gives a configuration or diagnostics, never a panic; both can be shown.

use proptest::prelude::*;

use super::check;

const INTERFACE: &str = include_str!("interface.toml");

/// Parts that get past the first checks.
const PARTS: [&str; 36] = [
    "[router]\n",
    "asn = 64500\n",
    "[peer.a]\n",
    "address = ",
    "'192.0.2.1'",
    "\"10.0.0.1/8\"",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "=",
    "'",
    "\"",
    "\"\"\"",
    "\\u00e4",
    "\\",
    "ä",
    "🐦",
    "hold-time",
    "families",
    "max-prefix = ",
    "rules = [",
    "\"accept if prefix in [10.0.0.0/8{24,28}]\"",
    "[policy.p]\n",
    "[prefix-set.s]\nprefixes = ",
    "[[originate]]\n",
    "true",
    "-1",
    "1e9",
    "1979-05-27",
    "\0",
    "\r\n",
    "[host-routes.vmbr1]\n",
    "[dynamic-peer.d]\n",
    "irr = { as-set = ",
];

fn shows(text: &str) {
    match check(text) {
        Ok(loaded) => {
            toml::to_string(&loaded.config).unwrap();
            assert_eq!(loaded.warnings.render(true).is_empty(), loaded.warnings.is_empty());
            assert!(loaded.config.diff(&loaded.config).is_empty());
        }
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            assert!(!diagnostics.render(false).is_empty() && !diagnostics.render(true).is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in ".{0,200}") {
        shows(&text);
    }

    #[test]
    fn pieces_of_configuration(parts in proptest::collection::vec(proptest::sample::select(&PARTS[..]), 0..30)) {
        shows(&parts.concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_right_file_damaged_somewhere(at in 0usize..3_000, length in 0usize..40, put in ".{0,10}") {
        let mut text = INTERFACE.to_owned();
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.ceil_char_boundary((start + length).min(text.len()));
        text.replace_range(start..end, &put);
        shows(&text);
    }
}
