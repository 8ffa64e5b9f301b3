//! JSON schemas of the shared nouns, whose own crate knows nothing of schemas. Used as `#[schemars(with = …)]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Declares a schema-only type.
macro_rules! schema {
    ($name:ident, $text:literal, $body:tt) => {
        #[doc = $text]
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($body)
            }
        }
    };
}

schema!(Prefix, "An address prefix in text.", {
    "type": "string",
    "description": "An IPv4 or IPv6 prefix without host bits, like 192.0.2.0/24 or 2001:db8::/32.",
    "examples": ["192.0.2.0/24", "2001:db8::/32"]
});
schema!(Asn, "An AS number.", {
    "type": "integer",
    "description": "An Autonomous System number (RFC 6793).",
    "minimum": 0,
    "maximum": 4_294_967_295_u32
});
schema!(Family, "An address family's word.", {
    "type": "string",
    "description": "An address family: IPv4 or IPv6 unicast.",
    "enum": ["ipv4", "ipv6"]
});
schema!(Role, "A role's word.", {
    "type": "string",
    "description": "What the peer is to us (RFC 9234).",
    "enum": ["provider", "customer", "peer", "route-server", "route-server-client"]
});
schema!(RouteSource, "A source's word.", {
    "type": "string",
    "description": "How the route entered.",
    "enum": ["bgp", "originate", "connected", "static", "kernel", "host-route"]
});
schema!(Selector, "A prefix or an address.", {
    "type": "string",
    "description": "A prefix, or an address (then the longest prefix that covers it is meant).",
    "examples": ["192.0.2.0/24", "192.0.2.1"]
});
