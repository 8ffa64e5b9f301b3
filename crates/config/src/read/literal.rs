//! Where a byte of a decoded TOML string stands in the file: escapes, and the line ends of multi-line strings, make
//! the two differ.

/// The offset in `raw` (the literal with its quotes) of byte `offset` of `decoded`. Past the end: the closing quote.
pub(crate) fn raw_offset(raw: &str, decoded: &str, offset: usize) -> usize {
    let quote = if raw.starts_with('\'') { "'" } else { "\"" };
    let long = quote.repeat(3);
    let multi_line = raw.len() >= 6 && raw.starts_with(&long);
    let escapes = quote == "\"";
    let mut at = if multi_line { 3 } else { 1 };
    if multi_line {
        // A line end right after the opening quotes is not part of the string.
        at += raw.get(at..).map_or(0, line_end);
    }
    let mut done = 0;
    for c in decoded.chars() {
        let mut rest = raw.get(at..).unwrap_or_default();
        if escapes && multi_line {
            let skipped = continuation(rest);
            at += skipped;
            rest = raw.get(at..).unwrap_or_default();
        }
        if done >= offset {
            return at.min(raw.len());
        }
        at += match rest.strip_prefix('\\') {
            Some(escape) if escapes => 1 + escape_length(escape),
            _ if c == '\n' => line_end(rest).max(1),
            _ => c.len_utf8(),
        };
        done += c.len_utf8();
    }
    at.min(raw.len())
}

fn line_end(text: &str) -> usize {
    if text.starts_with("\r\n") { 2 } else { usize::from(text.starts_with('\n')) }
}

/// The length of backslash-newline continuations at the start of `text`, with the white space they swallow.
fn continuation(text: &str) -> usize {
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('\\') {
        let trimmed = after.trim_start_matches([' ', '\t', '\r', '\n']);
        let swallowed = after.get(..after.len() - trimmed.len()).unwrap_or_default();
        if !swallowed.contains('\n') {
            break;
        }
        rest = trimmed;
    }
    text.len() - rest.len()
}

/// The length of an escape after its backslash.
fn escape_length(escape: &str) -> usize {
    match escape.as_bytes().first() {
        Some(b'x') => 3,
        Some(b'u') => 5,
        Some(b'U') => 9,
        Some(_) => 1,
        None => 0,
    }
}
