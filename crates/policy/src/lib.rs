//! The rule language: texts of rules become a [`Compiled`] policy, which judges routes and says which rule did it.
//!
//! The language is described for operators in `docs/policy.md`. A rule goes three steps: `parse` turns its text into
//! the tree of `ast` with spans for errors, `compile` binds names to sets and policies, `evaluate` runs the result.
//! `trace` runs the same code and writes down what each rule did.
//!
//! What this crate leaves out: where RPKI, ASPA and IRR data come from (asked through [`Facts`]), and the checks
//! made before policy (loops, first AS, next hops), which only borrow their names from [`Builtin`].

mod as_path_regex;
mod aspa;
mod ast;
mod builtin;
mod community;
mod community_pattern;
mod community_set;
mod compile;
mod compiled;
mod dead;
mod display;
pub mod edge;
mod error;
mod evaluate;
mod facts;
mod numbers;
mod origin;
mod parse;
mod policy_set;
mod prefix_pattern;
mod prefix_set;
mod trace;

pub use aspa::AspaTable;
pub use builtin::{Builtin, RuleId};
pub use community::CommunityValue;
pub use community_pattern::CommunityPattern;
pub use compiled::Compiled;
pub use error::{PolicyError, Span, SyntaxError};
pub use evaluate::{NextHopAction, Outcome, PeerView, RouteView, Verdict, evaluate, evaluate_changed};
pub use facts::{Aspa, Facts, Needs, NoFacts, Rpki};
pub use numbers::AsnSet;
pub use origin::{VrpTable, explain_origin};
pub use parse::normalize;
pub use policy_set::{PolicySet, PolicySource, RuleInfo, RuleSource, Sets};
pub use prefix_pattern::PrefixPattern;
pub use prefix_set::PrefixSet;
pub use trace::{Effect, Step, trace};

#[cfg(test)]
mod tests;
