//! `siskin host-routes doctor`: looks at what host routes need of the host, without the daemon, and sets what is wrong.

mod checks;
mod host;

use std::path::Path;

use serde::Serialize;
use siskin_config::Config;

use super::{Failure, Output};
use crate::output::{Look, Tone};
use checks::{Finding, Mend};
use host::Host;

/// So often is set and looked again: one thing may only come to light when another is right.
const ROUNDS: usize = 3;

/// A finding as programs read it.
#[derive(Serialize)]
struct Report<'a> {
    interface: &'a str,
    what: &'a str,
    why: &'a str,
    now: &'a str,
    wanted: &'a str,
    /// What mends it; nothing where that is not for a program to decide.
    commands: Vec<String>,
    /// Only advice: nothing is wrong.
    advice: bool,
    fixed: bool,
}

/// Looks, sets if that is wanted, and tells.
pub(super) fn run(output: &Output, file: &Path, fix: bool) -> Result<(), Failure> {
    let loaded = siskin_config::load(file).map_err(|errors| {
        output.complain_raw(&errors.render(false));
        Failure::Invalid
    })?;
    let found = look(&loaded.config)?;
    let mut left = found.clone();
    if fix {
        for _ in 0..ROUNDS {
            let mendable: Vec<&Finding> = left.iter().filter(|finding| !finding.mends.is_empty()).collect();
            if mendable.is_empty() {
                break;
            }
            for mend in mendable.iter().flat_map(|finding| &finding.mends) {
                if let Err(error) = mend.apply() {
                    output.complain(&format!("{}: {error}", mend.command()));
                }
            }
            left = look(&loaded.config)?;
        }
    }
    let mut all = found;
    // What only came to light by setting something else.
    all.extend(left.iter().filter(|l| !all.iter().any(|f| f.same_as(l))).cloned().collect::<Vec<_>>());
    let fixed = |finding: &Finding| !left.iter().any(|l| l.same_as(finding));
    if output.is_json() {
        let reports: Vec<Report<'_>> = all.iter().map(|finding| report(finding, fixed(finding))).collect();
        output.json(&reports)?;
    } else {
        output.text(&render(&all, fixed, output.look()))?;
    }
    if left.iter().any(|finding| !finding.advice) { Err(Failure::Negative(None)) } else { Ok(()) }
}

fn look(config: &Config) -> Result<Vec<Finding>, Failure> {
    let host = Host::read()
        .map_err(|why| Failure::Negative(Some(format!("the host cannot be looked at: {why}"))))?;
    Ok(checks::all(config, &host))
}

fn report(finding: &Finding, fixed: bool) -> Report<'_> {
    Report {
        interface: &finding.interface,
        what: &finding.what,
        why: finding.why,
        now: &finding.now,
        wanted: &finding.wanted,
        commands: finding.mends.iter().map(Mend::command).collect(),
        advice: finding.advice,
        fixed,
    }
}

/// Each finding: what, now and wanted, why, the command.
fn render(all: &[Finding], fixed: impl Fn(&Finding) -> bool, look: Look) -> String {
    if all.is_empty() {
        return "All is as it should be.\n".to_owned();
    }
    let mut text = String::new();
    let (mut wrong, mut mended) = (0, 0);
    for finding in all {
        let (tone, word) = match (fixed(finding), finding.advice) {
            (true, _) => (Tone::Good, "fixed"),
            (false, true) => (Tone::Dim, "advice"),
            (false, false) => (Tone::Bad, "wrong"),
        };
        mended += usize::from(fixed(finding));
        wrong += usize::from(!fixed(finding) && !finding.advice);
        let Finding { interface, what, now, wanted, why, .. } = finding;
        text += &format!("{}  {interface}: {what} is {now}, wanted {wanted}\n", look.paint(tone, word));
        text += &format!("    {why}\n");
        if !fixed(finding) {
            for mend in &finding.mends {
                text += &format!("    $ {}\n", mend.command());
            }
        }
    }
    text + &format!("\n{wrong} wrong, {mended} fixed\n")
}

#[cfg(test)]
mod tests;
