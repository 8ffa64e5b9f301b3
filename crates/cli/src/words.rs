//! Numbers, times and lists as people read them.

use siskin_net::{Family, Role, RouteSource};

/// `1,234,567`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The two largest units: `1d 2h`, `5m 3s`, `12s`.
pub(crate) fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, name) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            parts.push(format!("{count}{name}"));
        } else if !parts.is_empty() {
            // `1d 3s` would look like `1d 3h`: only neighbouring units go together.
            break;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// `412 µs`, `2.3 ms`, `1.4 s`.
pub(crate) fn microseconds(us: u64) -> String {
    let tenths = |n: u64, unit: u64| format!("{}.{}", n / unit, n % unit * 10 / unit);
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", tenths(us, 1_000)),
        _ => format!("{} s", tenths(us, 1_000_000)),
    }
}

/// The text without control characters: what a peer sent must not move an operator's cursor. Line breaks stay.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// A number and its noun: `1 peer`, `3 peers`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(n))
}

/// A value, or `-`.
pub(crate) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

/// The family as protocols write it.
pub(crate) fn family(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// The word of the configuration.
pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Provider => "provider",
        Role::Customer => "customer",
        Role::Peer => "peer",
        Role::RouteServer => "route-server",
        Role::RouteServerClient => "route-server-client",
    }
}

/// Who gave a path: the peer, or the kind of source and its name.
pub(crate) fn giver(source: RouteSource, name: &str) -> String {
    match source {
        RouteSource::Bgp => name.to_owned(),
        other if other.name() == name => name.to_owned(),
        other => format!("{} {name}", other.name()),
    }
}
