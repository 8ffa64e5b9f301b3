//! `siskin completions`, `siskin man`.

use std::path::Path;

use clap::CommandFactory;

use crate::args::Arguments;
use crate::failure::Failure;
use crate::output::Output;

/// Prints completions.
pub(super) fn completions(output: &Output, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "siskin", &mut text);
    output.bytes(&text)
}

/// Prints the page of `siskin` itself, or writes the pages of all commands into a folder.
pub(super) fn man(output: &Output, folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::command()).render(&mut page).map_err(|_| Failure::Closed)?;
        return output.bytes(&page);
    };
    let fail = |e| Failure::Negative(Some(format!("cannot write into {}: {e}", folder.display())));
    std::fs::create_dir_all(folder).map_err(fail)?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(fail)
}
