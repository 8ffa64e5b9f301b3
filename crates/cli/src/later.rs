//! Commands of the contract that this version does not have: said plainly, not pretended.

use std::ffi::OsString;

use crate::failure::Failure;

/// The first words of each command, and what serves until it is there.
const LATER: &[(&[&str], &str)] = &[
    (&["top"], "`siskin status` and /metrics show the figures"),
    (&["import"], "configurations of other daemons are not translated yet"),
    (&["config", "plan"], "`siskin config check FILE` finds its errors"),
    (&["config", "confirm"], "`siskin config apply` takes effect at once"),
    (&["config", "rollback"], "apply the file you had before"),
    (&["config", "history"], "keep the file in version control"),
];

/// Refuses a command of a later version.
pub(crate) fn refuse(words: &[OsString]) -> Result<(), Failure> {
    let words: Vec<&str> = positional(words);
    let later = LATER.iter().find(|(command, _)| words.starts_with(command));
    match later {
        Some((command, instead)) => Err(Failure::Usage(format!(
            "`siskin {}` is not part of this version: {instead}",
            command.join(" ")
        ))),
        None => Ok(()),
    }
}

/// The words that are neither the program, nor options before the command, nor an option's value.
fn positional(words: &[OsString]) -> Vec<&str> {
    let mut found = Vec::new();
    let mut words = words.iter().skip(1).filter_map(|w| w.to_str());
    while let Some(word) = words.next() {
        match word {
            "--socket" => {
                words.next();
            }
            word if word.starts_with('-') => {}
            word => found.push(word),
        }
    }
    found
}
