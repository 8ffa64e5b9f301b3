//! The caret inside strings: every way TOML writes one.

use crate::read::raw_offset;

/// The raw text from where byte `offset` of the decoded string is.
fn from(raw: &str, offset: usize) -> &str {
    let document = format!("a = {raw}");
    let table = toml::de::DeTable::parse(&document).unwrap();
    let decoded = table.get_ref()["a"].get_ref().as_str().unwrap().to_owned();
    &raw[raw_offset(raw, &decoded, offset)..]
}

#[test]
fn offsets_survive_escapes_and_line_ends() {
    assert_eq!(from(r#""abc""#, 1), "bc\"");
    assert_eq!(from("'a\\bc'", 2), "bc'");
    assert_eq!(from(r#""a\"bc""#, 2), "bc\"");
    assert_eq!(from(r#""a\u00e4bc""#, 3), "bc\"");
    assert_eq!(from(r#""a\U0001F426bc""#, 5), "bc\"");
    assert_eq!(from("\"\"\"\nabc\"\"\"", 1), "bc\"\"\"");
    assert_eq!(from("\"\"\"a\nbc\"\"\"", 2), "bc\"\"\"");
    assert_eq!(from("\"\"\"a \\\n   bc\"\"\"", 2), "bc\"\"\"");
    assert_eq!(from("\"\"\"a\\\n\n \\\n bc\"\"\"", 1), "bc\"\"\"");
    assert_eq!(from("'''\na\nbc'''", 2), "bc'''");
    assert_eq!(from("\"äbc\"", 2), "bc\"");
    assert_eq!(from("\"abc\"", 3), "\"");
    assert_eq!(from("\"\"", 0), "\"");
    assert_eq!(from("\"\"", 9), "\"");
}
