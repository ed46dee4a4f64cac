//! Which capacity provider of a strategy the next task belongs to.
//!
//! Source: Amazon ECS API Reference, `CapacityProviderStrategyItem`: `base` is how many tasks, at the least, run on a provider;
//! `weight` is the relative share of the tasks beyond the bases.

use model::cluster::CapacityProviderStrategyItem;

/// The place in the strategy of the provider whose turn it is; `placed` says how many tasks each has already. Nothing when no
/// provider has a share, which the API refuses.
///
/// Whoever is short of its base comes first. Then whoever would have the fewest tasks beyond its base for its weight, and of
/// several the first that is named: after as many tasks as the weights sum to, each has exactly its share (D'Hondt's method).
pub fn next_provider(strategy: &[CapacityProviderStrategyItem], placed: &[u32]) -> Option<usize> {
    let tasks = |at: usize| placed.get(at).copied().unwrap_or_default();
    let short = (0..strategy.len()).find(|at| tasks(*at) < strategy[*at].base);
    let turn = || {
        let shares = (0..strategy.len()).filter(|at| strategy[*at].weight > 0);
        shares.min_by(|one, other| {
            let beyond = |at: usize| u64::from(tasks(at) - strategy[at].base) + 1;
            let weight = |at: usize| u64::from(strategy[at].weight);
            // beyond / weight, without a fraction.
            (beyond(*one) * weight(*other)).cmp(&(beyond(*other) * weight(*one)))
        })
    };
    short.or_else(turn)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(name: &str, base: u32, weight: u32) -> CapacityProviderStrategyItem {
        CapacityProviderStrategyItem { capacity_provider: name.into(), base, weight }
    }

    /// The names of the providers, in the sequence of the tasks.
    fn sequence(strategy: &[CapacityProviderStrategyItem], tasks: usize) -> String {
        let mut placed = vec![0; strategy.len()];
        let mut names = String::new();
        for _ in 0..tasks {
            let Some(next) = next_provider(strategy, &placed) else { break };
            placed[next] += 1;
            names.push_str(&strategy[next].capacity_provider);
        }
        names
    }

    #[test]
    fn the_base_comes_first_and_then_the_weights() {
        for (strategy, expected) in [
            (vec![item("a", 0, 1), item("b", 0, 1)], "abababab"),
            (vec![item("a", 0, 1), item("b", 0, 4)], "bbbabbbbab"),
            (vec![item("a", 2, 1), item("b", 0, 3)], "aabbabbbab"),
            (vec![item("a", 0, 1), item("b", 3, 0)], "bbbaaaa"),
            (vec![item("a", 3, 0), item("b", 0, 1)], "aaabbbb"),
            (vec![item("a", 0, 0)], ""),
            (vec![], ""),
        ] {
            assert_eq!(sequence(&strategy, expected.len().max(1)), expected, "{strategy:?}");
        }
    }

    proptest! {
        #[test]
        fn no_share_is_ever_off_by_a_whole_task_more_than_weights_allow(
            weights in prop::collection::vec(0u32..5, 1..5),
            base in 0u32..10,
            tasks in 0u32..200,
        ) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let mut strategy: Vec<_> = weights.iter().map(|weight| item("p", 0, *weight)).collect();
            strategy[0].base = base;
            let mut placed = vec![0; strategy.len()];
            for _ in 0..tasks {
                let next = next_provider(&strategy, &placed).unwrap();
                placed[next] += 1;
            }
            prop_assert_eq!(placed.iter().sum::<u32>(), tasks);
            prop_assert!(placed[0] >= base.min(tasks));
            let (beyond, sum) = (tasks.saturating_sub(base), weights.iter().sum::<u32>());
            for (at, weight) in weights.iter().enumerate() {
                let beyond_of = placed[at] - strategy[at].base.min(placed[at]);
                // Never less than the share, rounded down.
                prop_assert!(beyond_of >= beyond * weight / sum, "{placed:?}");
            }
        }
    }
}
