//! The most used forms of `birdc` and `vtysh`, rewritten to commands of our own. What has no counterpart is refused
//! with what comes nearest.

use std::ffi::OsString;

use crate::failure::Failure;

/// Replaces an alias; everything else comes back as it was. The first word is the program's name.
pub(crate) fn expand(words: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let Some(text) = words.iter().map(|w| w.to_str()).collect::<Option<Vec<&str>>>() else {
        return Ok(words);
    };
    // Options may stand before the command; they stay where they are.
    let Some(start) = command_at(&text) else { return Ok(words) };
    let (before, command) = text.split_at(start);
    let (options, command): (Vec<&str>, Vec<&str>) = command.iter().partition(|w| w.starts_with("--"));
    let Some(replacement) = translate(&command)? else { return Ok(words) };
    Ok(before
        .iter()
        .map(|w| (*w).to_owned())
        .chain(replacement)
        .chain(options.into_iter().map(str::to_owned))
        .map(OsString::from)
        .collect())
}

fn command_at(words: &[&str]) -> Option<usize> {
    let mut i = 1;
    loop {
        match words.get(i)? {
            &"--socket" => i += 2,
            word if word.starts_with('-') => i += 1,
            _ => return Some(i),
        }
    }
}

/// Our own words for a foreign command; `None`: it is not foreign.
fn translate(command: &[&str]) -> Result<Option<Vec<String>>, Failure> {
    let own = match command {
        ["show", rest @ ..] => show(rest).ok_or_else(|| {
            Failure::Usage(format!(
                "`show {}` has no counterpart here: see `siskin --help`, or try `siskin peers`, `siskin routes`, \
                 `siskin fib`",
                rest.join(" ")
            ))
        })?,
        ["configure"] => own(["config", "apply"]),
        ["configure", "check"] => own(["config", "check"]),
        ["configure", "check", file] => own(["config", "check", file]),
        ["enable", peer] => own(["peer", peer, "up"]),
        ["disable", peer] => own(["peer", peer, "down"]),
        ["restart", peer] => own(["peer", peer, "restart"]),
        ["reload", peer] | ["reload", "in", peer] => own(["peer", peer, "refresh-in"]),
        ["reload", "out", peer] => own(["peer", peer, "refresh-out"]),
        ["clear", "bgp", peer] | ["clear", "ip", "bgp", peer] => own(["peer", peer, "restart"]),
        ["clear", "bgp", peer, "soft", "in"] | ["clear", "bgp", peer, "in"] => own(["peer", peer, "refresh-in"]),
        ["clear", "bgp", peer, "soft", "out"] | ["clear", "bgp", peer, "out"] => {
            own(["peer", peer, "refresh-out"])
        }
        _ => return Ok(None),
    };
    Ok(Some(own))
}

fn own<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// What follows `show`.
fn show(words: &[&str]) -> Option<Vec<String>> {
    Some(match words {
        ["status" | "version" | "memory"] => own(["status"]),
        ["protocols"] | ["protocols", "all"] => own(["peers"]),
        ["protocols", "all", peer] | ["protocols", peer] | ["protocols", peer, "all"] => own(["peers", peer]),
        ["route" | "routes", rest @ ..] => bird_route(rest)?,
        ["rpki", "cache-connection" | "cache-server"] => own(["rpki"]),
        ["rpki", "prefix", prefix, asn] => own(["rpki", "check", prefix, asn]),
        ["running-config"] => own(["config", "show"]),
        ["ip" | "ipv6", "route"] => own(["fib"]),
        ["ip" | "ipv6", "route", prefix] => own(["fib", prefix]),
        ["ip", "bgp", rest @ ..] | ["bgp", rest @ ..] => bgp(rest)?,
        _ => return None,
    })
}

/// `show route [for ADDRESS | in PREFIX | PREFIX] [all] [protocol P] [export P] [filtered] [primary] [count]`.
fn bird_route(mut words: &[&str]) -> Option<Vec<String>> {
    let mut own = vec!["routes".to_owned()];
    let mut add = |words: &[&str]| own.extend(words.iter().map(|w| (*w).to_owned()));
    loop {
        words = match words {
            [] => return Some(own),
            ["for", address, rest @ ..] => {
                add(&[address]);
                rest
            }
            ["in", prefix, rest @ ..] => {
                add(&[prefix, "--longer"]);
                rest
            }
            ["all", rest @ ..] => {
                add(&["--detail"]);
                rest
            }
            ["protocol", peer, rest @ ..] => {
                add(&["--peer", peer]);
                rest
            }
            ["export", peer, rest @ ..] => {
                add(&["--exported", "--peer", peer]);
                rest
            }
            ["filtered", rest @ ..] => {
                add(&["--filtered"]);
                rest
            }
            ["primary", rest @ ..] => {
                add(&["--best"]);
                rest
            }
            ["count", rest @ ..] => {
                add(&["--count"]);
                rest
            }
            [prefix, rest @ ..] if looks_like_prefix(prefix) => {
                add(&[prefix]);
                rest
            }
            _ => return None,
        };
    }
}

/// What follows `show bgp`.
fn bgp(words: &[&str]) -> Option<Vec<String>> {
    let (family, words) = match words {
        ["ipv4", "unicast", rest @ ..] | ["ipv4", rest @ ..] => (Some("--ipv4"), rest),
        ["ipv6", "unicast", rest @ ..] | ["ipv6", rest @ ..] => (Some("--ipv6"), rest),
        rest => (None, rest),
    };
    let mut own = match words {
        ["summary"] | ["neighbors" | "neighbor"] => return Some(own(["peers"])),
        ["neighbors" | "neighbor", peer] => return Some(own(["peers", peer])),
        ["neighbors" | "neighbor", peer, "advertised-routes"] => {
            own(["routes", "--exported", "--peer", peer])
        }
        ["neighbors" | "neighbor", peer, "received-routes"] => own(["routes", "--received", "--peer", peer]),
        ["neighbors" | "neighbor", peer, "filtered-routes"] => own(["routes", "--filtered", "--peer", peer]),
        ["neighbors" | "neighbor", peer, "routes"] => own(["routes", "--peer", peer]),
        [] => own(["routes"]),
        [prefix] if looks_like_prefix(prefix) => own(["routes", prefix, "--detail"]),
        [prefix, "longer-prefixes"] if looks_like_prefix(prefix) => own(["routes", prefix, "--longer"]),
        _ => return None,
    };
    own.extend(family.map(str::to_owned));
    Some(own)
}

fn looks_like_prefix(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':') && word.contains(['.', ':'])
}

#[cfg(test)]
mod tests;
