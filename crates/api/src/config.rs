//! `GET /v1/config`, `POST /v1/config/check`, `POST /v1/config/apply`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but perhaps not as meant.
    Warning,
}

/// One thing the check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigDiagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// The line, from 1; 0: it concerns the file as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0: the file as a whole.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// What to check or apply. The daemon reads the file itself, so that its includes are found and its rights apply.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigRequest {
    /// Absolute path of a main file on the daemon's machine; `null`: the one the daemon was started with.
    pub file: Option<String>,
}

/// What came of a check or an apply.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ConfigReport {
    /// The main file.
    pub file: String,
    /// Whether it has no errors.
    pub valid: bool,
    /// Whether it is in force now.
    pub applied: bool,
    /// The generation in force now.
    pub generation: u64,
    /// Errors and warnings.
    pub diagnostics: Vec<ConfigDiagnostic>,
    /// The same with excerpts of the file, as text without colour.
    pub rendered: String,
    /// What changes against the configuration that was in force, one line each.
    pub changes: Vec<String>,
}

impl ConfigReport {
    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigView {
    /// The main file.
    pub file: String,
    /// Counts up with each configuration that came into force.
    pub generation: u64,
    /// Seconds since it came into force.
    pub age_s: u64,
    /// Warnings it gave.
    pub diagnostics: Vec<ConfigDiagnostic>,
    /// Groups merged, defaults filled in, secrets as `***`.
    pub effective: serde_json::Value,
}
