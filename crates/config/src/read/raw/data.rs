//! `[rpki]`, `[irr]`, `[peeringdb]`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::sections::{Key, List, path};
use crate::diagnostic::Report;
use crate::model::HostPort;
use crate::read::filter_values::registry_sources;
use crate::read::{Section, Value, peer_values};

/// One of `rpki.servers`.
pub(crate) struct RawRtrServer {
    pub(crate) server: HostPort,
    pub(crate) password: Key<String>,
    pub(crate) password_file: Key<PathBuf>,
}

/// `[rpki]`.
#[derive(Default)]
pub(crate) struct RawRpki {
    pub(crate) servers: Key<List<RawRtrServer>>,
    pub(crate) slurm: Key<PathBuf>,
    pub(crate) startup_deadline: Key<Duration>,
    pub(crate) refresh: Key<Duration>,
    pub(crate) retry: Key<Duration>,
    pub(crate) expire: Key<Duration>,
    pub(crate) state: Key<bool>,
}

impl RawRpki {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawRpki {
        let raw = RawRpki {
            servers: section.get("servers", report, |v, r| v.list("servers", r, rtr_server)),
            slurm: section.get("slurm", report, path),
            startup_deadline: section.get("startup-deadline", report, |v, r| v.duration(seconds(0, 3600), r)),
            refresh: section.get("refresh", report, |v, r| v.duration(seconds(1, 86_400), r)),
            retry: section.get("retry", report, |v, r| v.duration(seconds(1, 7200), r)),
            expire: section.get("expire", report, |v, r| v.duration(seconds(2, 172_800), r)),
            state: section.get("state", report, Value::boolean),
        };
        section.finish(report);
        raw
    }
}

const fn seconds(low: u64, high: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(low)..=Duration::from_secs(high)
}

/// `"HOST:PORT"`, or `{ server = "HOST:PORT", password = "…" }`.
fn rtr_server(value: Value<'_>, report: &mut Report) -> Option<RawRtrServer> {
    let server = |v, r: &mut Report| host_port(v, "an RTR cache", 323, r);
    if !matches!(value.toml, DeValue::Table(_)) {
        return Some(RawRtrServer { server: server(value, report)?, password: None, password_file: None });
    }
    let mut section = Section::new(value, "{ server = …, password = … }", value.at, report)?;
    if section.entry("server").is_none() {
        report.error(value.at, "an RTR cache needs a `server`").label("no `server` here");
    }
    let host = section.get("server", report, server);
    let password = section.get("password", report, peer_values::password);
    let password_file = section.get("password-file", report, path);
    section.finish(report);
    Some(RawRtrServer { server: host?.value, password, password_file })
}

fn host_port(value: Value<'_>, what: &str, default: u16, report: &mut Report) -> Option<HostPort> {
    value.parsed(what, report, |text| HostPort::parse(text, default).map_err(|error| error.0))
}

/// `[irr]`.
#[derive(Default)]
pub(crate) struct RawIrr {
    pub(crate) server: Key<HostPort>,
    pub(crate) sources: Key<Vec<String>>,
    pub(crate) refresh: Key<Duration>,
    pub(crate) timeout: Key<Duration>,
    pub(crate) parallel: Key<u8>,
}

/// How often registries may be asked again.
const REFRESH: RangeInclusive<Duration> = seconds(300, 30 * 86_400);

impl RawIrr {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawIrr {
        let raw = RawIrr {
            server: section.get("server", report, |v, r| host_port(v, "a whois server", 43, r)),
            sources: section.get("sources", report, registry_sources),
            refresh: section.get("refresh", report, |v, r| v.duration(REFRESH, r)),
            timeout: section.get("timeout", report, |v, r| v.duration(seconds(1, 600), r)),
            parallel: section.get("parallel", report, |v, r| v.integer(1..=64, r)),
        };
        section.finish(report);
        raw
    }
}

/// `[peeringdb]`.
#[derive(Default)]
pub(crate) struct RawPeeringDb {
    pub(crate) url: Key<String>,
    pub(crate) api_key: Key<String>,
    pub(crate) api_key_file: Key<PathBuf>,
    pub(crate) refresh: Key<Duration>,
}

impl RawPeeringDb {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report) -> RawPeeringDb {
        let raw = RawPeeringDb {
            url: section.get("url", report, |v, r| {
                v.parsed("an address of a web service", r, |text| {
                    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
                    match rest {
                        Some(rest) if !rest.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
                        _ => Err("expected https://HOST/PATH"),
                    }
                })
            }),
            api_key: section.get("api-key", report, |v, r| v.text("an API key", r)),
            api_key_file: section.get("api-key-file", report, path),
            refresh: section.get("refresh", report, |v, r| v.duration(REFRESH, r)),
        };
        section.finish(report);
        raw
    }
}
