//! The capacity providers of a request: each task goes to the one whose turn it is, and to nobody else's instances.

use std::collections::BTreeMap;

use model::capacity_provider::GROUP_ATTRIBUTE;
use model::cluster::CapacityProviderStrategyItem;
use model::{Attribute, Scope, Task};
use state::Snapshot;

use crate::{Request, next_provider};

/// One capacity provider of a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub item: CapacityProviderStrategyItem,
    /// The Auto Scaling group whose instances it offers.
    pub group: String,
    /// What it has already, of the tasks that the strategy is about.
    pub tasks: u32,
    /// Tasks for which it has no room wait for instances: its managed scaling is on.
    pub scales: bool,
}

impl Provider {
    pub fn name(&self) -> &str {
        &self.item.capacity_provider
    }
}

/// The providers of a strategy, given the tasks that were placed by it before. One that is gone offers nothing.
pub fn providers<'a>(
    snapshot: &Snapshot,
    scope: &Scope,
    strategy: &[CapacityProviderStrategyItem],
    placed: impl Iterator<Item = &'a Task>,
) -> Vec<Provider> {
    if strategy.is_empty() {
        return Vec::new();
    }
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for name in placed.filter_map(|task| task.capacity_provider.as_deref()) {
        *counts.entry(name).or_default() += 1;
    }
    let provider = |item: &CapacityProviderStrategyItem| {
        let kept = snapshot.capacity_providers.get(&format!("{scope}/{}", item.capacity_provider));
        Provider {
            item: item.clone(),
            group: kept.map(|kept| kept.group.name().to_owned()).unwrap_or_default(),
            tasks: counts.get(item.capacity_provider.as_str()).copied().unwrap_or_default(),
            scales: kept.is_some_and(|kept| kept.scales()),
        }
    };
    strategy.iter().map(provider).collect()
}

/// Whose turn it is. `more` says how many a provider has got since its tasks were counted.
pub(crate) fn next(providers: &[Provider], more: impl Fn(&str) -> u32) -> Option<&Provider> {
    let strategy: Vec<_> = providers.iter().map(|provider| provider.item.clone()).collect();
    let placed: Vec<u32> = providers.iter().map(|provider| provider.tasks + more(provider.name())).collect();
    next_provider(&strategy, &placed).map(|place| &providers[place])
}

/// The same request, for the instances of one provider alone.
pub(crate) fn within(request: &Request, provider: &Provider) -> Request {
    within_group(&Request { providers: Vec::new(), ..request.clone() }, &provider.group)
}

/// The same request, for the instances of one Auto Scaling group alone.
pub fn within_group(request: &Request, group: &str) -> Request {
    let mut request = request.clone();
    let value = Some(group.to_owned());
    request.requires_attributes.push(Attribute { name: GROUP_ATTRIBUTE.to_owned(), value });
    request
}
