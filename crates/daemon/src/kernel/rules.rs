//! `[[rule]]` in the FIB's terms.

use siskin_config::{Config, Rule};
use siskin_fib::PolicyRule;

/// The policy rules of a configuration, one for each family a rule is made for.
pub(crate) fn policy_rules(config: &Config) -> Vec<PolicyRule> {
    config.rules.iter().flat_map(of_each_family).collect()
}

fn of_each_family(rule: &Rule) -> impl Iterator<Item = PolicyRule> {
    let Rule { from, to, iif, fwmark, table, priority } = rule.clone();
    rule.families().map(move |family| PolicyRule {
        family,
        priority,
        from,
        to,
        iif: iif.clone(),
        fwmark: fwmark.map(|mark| (mark.value, mark.mask)),
        table,
    })
}
