//! Tests of the attributes.
