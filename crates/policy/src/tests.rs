//! Tests of the whole language.
