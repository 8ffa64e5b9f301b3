//! Domains that patterns make: `[host-routes."tap*"]` is a template, and every interface whose name it matches becomes
//! a domain of its own with the template's configuration, which all of them share.

use std::cmp::Reverse;
use std::sync::Arc;

use siskin_net::{NamePattern, Timestamp};

use super::domain::{Domain, DomainId};
use super::{Claims, DomainConfig, MAX_INSTANCES};

impl Claims {
    pub(super) fn set_templates(&mut self, patterns: Vec<(String, DomainConfig)>) {
        let template = |(name, config): (String, DomainConfig)| {
            (NamePattern::new(name.as_str()), Domain::new(Arc::from(name), config))
        };
        self.templates = patterns.into_iter().map(template).collect();
        self.templates.sort_by_key(|(pattern, _)| precedence(pattern));
    }

    fn template(&self, name: &str) -> Option<&Domain> {
        self.templates.iter().find(|(pattern, _)| pattern.matches(name)).map(|(_, domain)| domain)
    }

    /// The section that an interface's domain comes from: its own, or the pattern that matches it best.
    #[must_use]
    pub fn section_of(&self, name: &str) -> Option<Arc<str>> {
        let domain = self.domain(name).and_then(|id| self.domains.get(&id)).filter(|domain| !domain.instance);
        domain.or_else(|| self.template(name)).map(|domain| domain.name.clone())
    }

    /// The domain of an interface that a pattern matches, made if it is not there yet; `None`: none matches, or there
    /// are [`MAX_INSTANCES`].
    pub fn instantiate(&mut self, name: &str, now: Timestamp) -> Option<DomainId> {
        if let Some(id) = self.domain(name) {
            return Some(id);
        }
        if self.domains.len() >= MAX_INSTANCES {
            return None;
        }
        let mut domain = Domain::new(Arc::from(name), DomainConfig::default());
        domain.follow(self.template(name)?);
        let id = self.add_domain(domain);
        let awaited: Vec<_> = self.domains.get(&id).map(|d| d.awaited().collect()).unwrap_or_default();
        for address in awaited {
            self.settle((id, address), None, now);
        }
        self.restore_on(name, now);
        Some(id)
    }

    /// Whether a pattern made this domain.
    #[must_use]
    pub fn is_instance(&self, id: DomainId) -> bool {
        self.domains.get(&id).is_some_and(|domain| domain.instance)
    }

    /// The VLAN that a domain's section names.
    #[must_use]
    pub fn vlan_of(&self, id: DomainId) -> Option<u16> {
        self.domains.get(&id).and_then(|domain| domain.config.vlan)
    }

    /// The names that a domain's ports must have; empty: any.
    #[must_use]
    pub fn port_names(&self, id: DomainId) -> &[NamePattern] {
        self.domains.get(&id).map_or(&[], |domain| &domain.config.ports)
    }

    /// Drops a domain with its ports and claims.
    pub fn discard(&mut self, id: DomainId, now: Timestamp) {
        if let Some(domain) = self.domains.get_mut(&id) {
            domain.undeclare_all();
        }
        self.set_link(id, None, now);
        self.end_search(id);
        if let Some(domain) = self.domains.remove(&id) {
            self.names.remove(&domain.name);
        }
    }

    /// After a change of templates: the domain has the configuration of the one that matches it now, or goes.
    pub(super) fn follow_template(&mut self, id: DomainId, now: Timestamp) {
        let Some(name) = self.domains.get(&id).map(|domain| domain.name.clone()) else { return };
        let template = self.templates.iter().find(|(pattern, _)| pattern.matches(&name));
        match (template, self.domains.get_mut(&id)) {
            (Some((_, template)), Some(domain)) => domain.follow(template),
            _ => self.discard(id, now),
        }
    }
}

/// Of two patterns that match a name the one that fixes more of it counts, then the one that is first in the alphabet.
#[must_use]
pub fn precedence(pattern: &NamePattern) -> (Reverse<usize>, NamePattern) {
    (Reverse(pattern.weight()), pattern.clone())
}
