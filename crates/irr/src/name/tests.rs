use proptest::prelude::*;

use super::*;

#[test]
fn names_of_every_form_are_read() {
    for (text, shown) in [
        ("as-example", "AS-EXAMPLE"),
        ("AS64500", "AS64500"),
        ("RIPE::AS-X", "RIPE::AS-X"),
        ("AS-X@ripe", "RIPE::AS-X"),
        ("RADB::AS19318:AS-CUSTOMERS", "RADB::AS19318:AS-CUSTOMERS"),
        ("AS-ROGERS:AS-CUSTOMERS", "AS-ROGERS:AS-CUSTOMERS"),
        ("AS-19214:AS-CENTAURI", "AS-19214:AS-CENTAURI"),
        ("AS12654:RS-RIS", "AS12654:RS-RIS"),
        ("RS-X", "RS-X"),
    ] {
        assert_eq!(text.parse::<SetName>().unwrap().to_string(), shown);
    }
    assert_eq!(kind("AS12654:RS-RIS"), Some(Kind::RouteSet));
    assert_eq!(kind("AS1:AS-X:AS2"), Some(Kind::AsSet));
    assert_eq!(kind("AS112"), Some(Kind::As(Asn(112))));
}

#[test]
fn what_is_no_name_never_reaches_a_server() {
    for text in [
        "",
        "AS-",
        "AS",
        "none",
        "AS-X\n!q",
        "AS-X Y",
        "RIPE:AS-X",
        "::AS-X",
        "RIPE::",
        "A::B::AS-X",
        "RIPE::AS-X@RADB",
        "AS1:AS2",
        "AS99999999999",
        "https://example.net/",
    ] {
        assert!(text.parse::<SetName>().is_err(), "{text:?}");
    }
    assert!(format!("AS-{}", "X".repeat(MAX_NAME)).parse::<SetName>().is_err());
}

#[test]
fn peeringdb_fields_hold_several_sets_and_junk() {
    let (sets, ignored) = from_peeringdb("RIPE::AS-EDPNET, AS-EDPNET-V6@RIPE  AS-EDPNET-V6@RIPE n/a");
    let shown: Vec<String> = sets.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["RIPE::AS-EDPNET", "RIPE::AS-EDPNET-V6"]);
    assert_eq!(ignored, ["n", "a"]);
    assert_eq!(from_peeringdb(" "), (vec![], vec![]));
}

proptest! {
    #[test]
    fn a_name_reads_back_as_it_is_shown(text in "\\PC{0,40}") {
        if let Ok(name) = text.parse::<SetName>() {
            prop_assert_eq!(name.to_string().parse::<SetName>().unwrap(), name);
        }
    }
}
