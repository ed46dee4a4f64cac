//! What dies in a round, and when: all of it from one seed.

use std::fmt;
use std::time::Duration;

use crate::Shape;

/// SplitMix64: good enough to choose, and the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Small enough for every reader of JSON.
        (mixed ^ (mixed >> 31)) >> 12
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// Fail points of the server, and how often at most they are passed before the end comes.
const SERVER: [(&str, u64); 4] =
    [("store.commit", 60), ("store.committed", 60), ("logs.write", 12), ("logs.written", 12)];

const AGENT: [(&str, u64); 14] = [
    ("network.made", 8),
    ("agent.record", 40),
    ("agent.accepted", 10),
    ("agent.step", 60),
    ("agent.reported", 30),
    ("agent.removed", 5),
    ("driver.delivered", 12),
    ("node.attached", 8),
    ("node.start", 8),
    ("node.started", 8),
    ("node.release", 8),
    ("node.released", 8),
    ("runtime.open", 8),
    ("driver.deliver", 12),
];

/// Every shim of the round dies there.
const SHIM: [(&str, u64); 4] = [("shim.launch", 1), ("shim.started", 1), ("shim.exit", 1), ("shim.recorded", 1)];

pub struct Death {
    pub server: bool,
    pub agent: bool,
    /// Of a hundred shims so many are killed.
    pub shims: Option<u64>,
    /// The fail point at which a process dies by itself.
    pub point: Option<String>,
    /// When it comes, after the beginning of the load; at a fail point the latest.
    pub after: Duration,
    /// They die once more this long after they were started again.
    pub again: Option<Duration>,
}

impl Death {
    pub fn draw(dice: &mut Dice, shape: Shape) -> Death {
        let point = dice.percent(60).then(|| {
            let (name, times) = match dice.below(20) {
                0..9 => SERVER[dice.below(SERVER.len() as u64) as usize],
                9..18 => AGENT[dice.below(AGENT.len() as u64) as usize],
                _ => SHIM[dice.below(SHIM.len() as u64) as usize],
            };
            format!("{name}:{}", 1 + dice.below(times))
        });
        let (server, agent) = match (shape, dice.below(3)) {
            (Shape::Up, _) | (Shape::Split, 0) => (true, true),
            (Shape::Split, 1) => (true, false),
            (Shape::Split, _) => (false, true),
        };
        Death {
            server,
            agent,
            shims: dice.percent(20).then(|| 20 + dice.below(81)),
            after: if point.is_some() { dice.millis(300, 1500) } else { dice.millis(10, 700) },
            point,
            again: dice.percent(25).then(|| dice.millis(5, 400)),
        }
    }

    /// The server was told where to die.
    pub fn awaits_server(&self) -> bool {
        self.point.as_ref().is_some_and(|point| SERVER.iter().any(|(name, _)| is_at(point, name)))
    }

    /// The agent was told where to die, or what its shims are told.
    pub fn awaits_agent(&self) -> bool {
        self.point.as_ref().is_some_and(|point| AGENT.iter().chain(&SHIM).any(|(name, _)| is_at(point, name)))
    }

    /// Nobody will know which shims died.
    pub fn takes_any_shim(&self) -> bool {
        self.point.as_ref().is_some_and(|point| point.starts_with("shim."))
    }
}

fn is_at(point: &str, name: &str) -> bool {
    point.split_once(':').is_some_and(|(place, _)| place == name)
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.point {
            Some(point) => write!(f, "dies at {point}, after {} ms at the latest", self.after.as_millis())?,
            None => write!(f, "killed after {} ms", self.after.as_millis())?,
        }
        if !(self.server && self.agent) {
            write!(f, ", only the {}", if self.server { "server" } else { "agent" })?;
        }
        match self.again {
            Some(pause) => write!(f, ", again after {} ms", pause.as_millis()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that lives on with a fail point ahead would die in the middle of a check, and nobody would start it again.
    #[test]
    fn whoever_was_told_where_to_die_does_not_outlive_its_round() {
        for (names, server, agent) in [(&SERVER[..], true, false), (&AGENT[..], false, true), (&SHIM[..], false, true)]
        {
            for (name, _) in names {
                let (after, point) = (Duration::ZERO, Some(format!("{name}:3")));
                let death = Death { server: false, agent: false, shims: None, point, after, again: None };
                assert_eq!((death.awaits_server(), death.awaits_agent()), (server, agent), "{name}");
            }
        }
        let (after, point) = (Duration::ZERO, None);
        let death = Death { server: false, agent: false, shims: None, point, after, again: None };
        assert!(!death.awaits_server() && !death.awaits_agent());
    }
}
