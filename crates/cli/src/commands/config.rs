//! `siskin config check`, `show`, `apply`.

use std::path::Path;

use serde_json::Value;
use siskin_api::{ConfigDiagnostic, ConfigReport, ConfigRequest, ConfigView, Severity};
use siskin_config::Diagnostics;

use crate::args::ConfigAction;
use crate::client::{Client, understand};
use crate::failure::Failure;
use crate::output::{Look, Output};
use crate::words::{clean, count, duration};

/// Runs `siskin config …`.
pub(super) async fn run(client: &Client, output: &Output, action: ConfigAction) -> Result<(), Failure> {
    match action {
        ConfigAction::Check { file } => check(output, &file),
        ConfigAction::Show => super::show(client, output, "/v1/config", render).await,
        ConfigAction::Apply { file } => apply(client, output, file.as_deref()).await,
    }
}

/// Checks a file with the daemon's own code and without the daemon.
fn check(output: &Output, file: &Path) -> Result<(), Failure> {
    let (diagnostics, valid) = match siskin_config::load(file) {
        Ok(loaded) => (loaded.warnings, true),
        Err(diagnostics) => (diagnostics, false),
    };
    if output.is_json() {
        output.json(&report(file, &diagnostics, valid))?;
    } else {
        output.complain_raw(&diagnostics.render(output.color_complaints()));
        if valid {
            output.text(&format!("{} is valid.\n", file.display()))?;
        }
    }
    if valid { Ok(()) } else { Err(Failure::Invalid) }
}

fn report(file: &Path, diagnostics: &Diagnostics, valid: bool) -> ConfigReport {
    let diagnostic = |d: &siskin_config::Diagnostic| ConfigDiagnostic {
        severity: match d.severity {
            siskin_config::Severity::Error => Severity::Error,
            siskin_config::Severity::Warning => Severity::Warning,
        },
        file: d.file.clone(),
        line: d.line,
        column: d.column,
        message: d.message.clone(),
        help: d.help.clone(),
    };
    ConfigReport {
        file: file.display().to_string(),
        valid,
        diagnostics: diagnostics.iter().map(diagnostic).collect(),
        rendered: diagnostics.render(false),
        ..ConfigReport::default()
    }
}

async fn apply(client: &Client, output: &Output, file: Option<&Path>) -> Result<(), Failure> {
    let file = file.map(super::absolute).transpose()?;
    let answer = client.post("/v1/config/apply", super::body(&ConfigRequest { file })?).await?;
    if output.is_json() {
        return output.answer(&answer);
    }
    let report: ConfigReport = understand(&answer)?;
    output.complain_raw(&clean(&report.rendered));
    output.text(&render_applied(&report))
}

/// What changed.
pub(super) fn render_applied(report: &ConfigReport) -> String {
    let mut text = format!("{} is in force (generation {}).\n", report.file, report.generation);
    if report.changes.is_empty() {
        text += "Nothing changed.\n";
    }
    for change in &report.changes {
        text += &format!("  {change}\n");
    }
    text
}

/// The configuration in force as an outline: a heading for each table, `key = value` for the rest.
pub(super) fn render(view: &ConfigView, _: Look) -> String {
    let mut text =
        format!("# {}, generation {}, in force for {}\n", view.file, view.generation, duration(view.age_s));
    if !view.diagnostics.is_empty() {
        text += &format!("# {}:\n", count(view.diagnostics.len() as u64, "warning"));
        for d in &view.diagnostics {
            text += &format!("# {}:{}: {}\n", d.file, d.line, d.message);
        }
    }
    outline(&mut text, "", &view.effective);
    text
}

fn outline(text: &mut String, path: &str, value: &Value) {
    let Value::Object(table) = value else {
        text.push_str(&format!("{value}\n"));
        return;
    };
    let (tables, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, v)| v.is_object());
    if !values.is_empty() {
        text.push('\n');
        if !path.is_empty() {
            text.push_str(&format!("[{path}]\n"));
        }
        for (key, value) in values {
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
    for (key, value) in tables {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        outline(text, &path, value);
    }
}
