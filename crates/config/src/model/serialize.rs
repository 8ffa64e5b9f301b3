//! How checked values are written in the effective configuration: as the file would have them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use siskin_net::{FamilyMap, FamilySet};
use siskin_policy::Compiled;

pub(crate) fn duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::duration::format(*value))
}

pub(crate) fn duration_option<S: Serializer>(
    value: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => duration(value, serializer),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn display_option<S: Serializer, T: Display>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn family_options<S: Serializer, T: Serialize>(
    value: &FamilyMap<Option<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (family, value) in value.iter() {
        if let Some(value) = value {
            map.serialize_entry(family.name(), value)?;
        }
    }
    map.end()
}

pub(crate) fn families<S: Serializer>(value: &FamilySet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(value.iter().map(|family| format!("{family}-unicast")))
}

pub(crate) fn policy_option<S: Serializer>(
    value: &Option<Arc<Compiled>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(policy) => serializer.serialize_str(policy.name()),
        None => serializer.serialize_none(),
    }
}

/// Tables of one list each: `{ name = { rules = […] } }`.
macro_rules! named_lists {
    ($function:ident, $key:literal) => {
        pub(crate) fn $function<S: Serializer>(
            value: &BTreeMap<String, Vec<String>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_map(value.iter().map(|(name, list)| (name, BTreeMap::from([($key, list)]))))
        }
    };
}

named_lists!(rules, "rules");
named_lists!(prefixes, "prefixes");
named_lists!(communities, "communities");

/// An absent part is written `false`, as the file switches it off.
pub(crate) fn off_option<S: Serializer, T: Serialize>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_bool(false),
    }
}
