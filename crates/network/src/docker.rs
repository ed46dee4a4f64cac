//! Peace with a Docker engine, or any other firewall that speaks iptables, on the same host.
//!
//! A Docker engine sets the policy of the iptables chain FORWARD to DROP. Packets must pass every table, so
//! an accept in ours does not help. Docker keeps the chain DOCKER-USER for such cases; where there is none,
//! the rules go to FORWARD itself. This runs at start and after the ruleset changed, never per container.

use std::io;
use std::process::{Command, Output};

use crate::error::NetworkError;

/// Adds the two accept rules where traffic of our bridge would be dropped without them. Blocking.
pub(crate) fn ensure(bridge: &str) -> Result<(), NetworkError> {
    let Some(listing) = list()? else { return Ok(()) };
    for rule in missing(&listing, bridge) {
        iptables(&["-I", rule.chain, rule.direction, bridge, "-j", "ACCEPT"])?;
    }
    Ok(())
}

/// Removes every accept rule for our bridge, wherever `ensure` has put it. Blocking.
pub(crate) fn release(bridge: &str) -> Result<(), NetworkError> {
    let Some(listing) = list()? else { return Ok(()) };
    for rule in present(&listing, bridge) {
        iptables(&["-D", rule.chain, rule.direction, bridge, "-j", "ACCEPT"])?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Accept {
    chain: &'static str,
    /// `-i` for packets from the bridge, `-o` for packets to it.
    direction: &'static str,
}

impl Accept {
    fn line(self, bridge: &str) -> String {
        format!("-A {} {} {bridge} -j ACCEPT", self.chain, self.direction)
    }
}

/// Which rules the filter table lacks. Without a policy of DROP and without Docker's chain it lacks none.
fn missing(listing: &str, bridge: &str) -> Vec<Accept> {
    let has = |wanted: &str| listing.lines().any(|line| line == wanted);
    let chain = if has("-N DOCKER-USER") {
        "DOCKER-USER"
    } else if has("-P FORWARD DROP") {
        "FORWARD"
    } else {
        return Vec::new();
    };
    let rules = ["-i", "-o"].map(|direction| Accept { chain, direction });
    rules.into_iter().filter(|rule| !has(&rule.line(bridge))).collect()
}

/// Our rules as they stand, each as often as it stands there.
fn present(listing: &str, bridge: &str) -> Vec<Accept> {
    let all = ["DOCKER-USER", "FORWARD"]
        .into_iter()
        .flat_map(|chain| ["-i", "-o"].map(|direction| Accept { chain, direction }));
    let count = |rule: &Accept| listing.lines().filter(|line| *line == rule.line(bridge)).count();
    all.flat_map(|rule| vec![rule; count(&rule)]).collect()
}

/// The filter table in the words of `iptables -S`. None on a host without iptables, where nothing drops.
fn list() -> Result<Option<String>, NetworkError> {
    match run(&["-S"]) {
        Ok(output) if output.status.success() => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
        // A kernel without the table, or a table that nft wrote in ways that iptables cannot tell: not Docker's.
        Ok(output) => {
            tracing::debug!(stderr = %String::from_utf8_lossy(&output.stderr).trim(), "iptables cannot list its rules");
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NetworkError::system("start iptables")(error)),
    }
}

fn iptables(arguments: &[&str]) -> Result<(), NetworkError> {
    let output = run(arguments).map_err(NetworkError::system("start iptables"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(NetworkError::Rules { reason: format!("iptables {}: {}", arguments.join(" "), stderr.trim()) })
}

fn run(arguments: &[&str]) -> io::Result<Output> {
    // The lock is held for milliseconds; five seconds is for a host that is busy starting Docker.
    Command::new("iptables").args(["-w", "5"]).args(arguments).output()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: &str = "-P INPUT ACCEPT\n-P FORWARD DROP\n-N DOCKER\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n";

    #[test]
    fn an_open_host_needs_nothing() {
        assert_eq!(missing("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n", "berth0"), []);
    }

    #[test]
    fn dockers_chain_is_preferred_and_each_rule_added_once() {
        let both = ["-i", "-o"].map(|direction| Accept { chain: "DOCKER-USER", direction });
        assert_eq!(missing(DOCKER, "berth0"), both);
        let half = format!("{DOCKER}-A DOCKER-USER -i berth0 -j ACCEPT\n");
        assert_eq!(missing(&half, "berth0"), both[1..]);
        let other = format!("{DOCKER}-A DOCKER-USER -i berth01 -j ACCEPT\n");
        assert_eq!(missing(&other, "berth0"), both);
    }

    #[test]
    fn a_closed_host_without_docker_gets_rules_in_forward() {
        let rules = ["-i", "-o"].map(|direction| Accept { chain: "FORWARD", direction });
        assert_eq!(missing("-P FORWARD DROP\n", "berth0"), rules);
    }

    #[test]
    fn all_of_ours_are_found_for_removal() {
        let text = format!(
            "{DOCKER}-A FORWARD -o berth0 -j ACCEPT\n-A DOCKER-USER -i berth0 -j ACCEPT\n-A DOCKER-USER -i berth0 -j ACCEPT\n-A FORWARD -i docker0 -j ACCEPT\n"
        );
        let found: Vec<String> = present(&text, "berth0").iter().map(|rule| rule.line("berth0")).collect();
        assert_eq!(
            found,
            [
                "-A DOCKER-USER -i berth0 -j ACCEPT",
                "-A DOCKER-USER -i berth0 -j ACCEPT",
                "-A FORWARD -o berth0 -j ACCEPT"
            ]
        );
    }
}
