//! What the crate promises, from text to model and from text to message.

mod defaults;
mod diagnostics;
mod diffs;
mod documents;
mod edge;
mod files;
mod fuzz;
mod hosts;
mod keys;
mod strings;

use crate::{Config, Diagnostics, Loaded, SourceFile, parse};

/// Checks one text named `siskin.toml`.
fn check(text: &str) -> Result<Loaded, Diagnostics> {
    parse(vec![SourceFile { name: "siskin.toml".to_owned(), text: text.to_owned() }])
}

/// The configuration of a text that must be right.
fn config(text: &str) -> Config {
    match check(text) {
        Ok(loaded) => loaded.config,
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// A text with a router section before it.
fn with_router(text: &str) -> String {
    format!("router = {{ asn = 64500 }}\n{text}")
}

/// The errors of a text that must be wrong.
fn errors(text: &str) -> Diagnostics {
    check(text).map(|loaded| loaded.config.router).expect_err("the text is wrong")
}
