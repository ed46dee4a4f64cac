//! How a registry's owner would have images scanned. It is kept and shown; nothing is scanned here.

use api_ecr::enums::{scan_frequency, scan_type, scanning_repository_filter_type};
use api_ecr::{RegistryScanningConfiguration, RegistryScanningRule, ScanningRepositoryFilter};
use serde::{Deserialize, Serialize};

/// A registry's scanning configuration as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScanningRecord {
    version: u32,
    pub(crate) scan_type: String,
    pub(crate) rules: Vec<ScanningRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScanningRule {
    pub(crate) frequency: String,
    /// Patterns of repository names, in which `*` stands for any characters or none.
    pub(crate) filters: Vec<String>,
}

impl ScanningRecord {
    pub(crate) const NAME: &str = "scanning";

    pub(crate) fn new(scan_type: String, rules: Vec<ScanningRule>) -> ScanningRecord {
        ScanningRecord { version: 1, scan_type, rules }
    }

    pub(crate) fn view(self) -> RegistryScanningConfiguration {
        let rule = |rule: ScanningRule| RegistryScanningRule {
            scan_frequency: Some(rule.frequency),
            repository_filters: Some(rule.filters.into_iter().map(filter).collect()),
        };
        RegistryScanningConfiguration {
            scan_type: Some(self.scan_type),
            rules: Some(self.rules.into_iter().map(rule).collect()),
        }
    }

    /// How often a repository's images would be scanned, and the filters that say so.
    pub(crate) fn applied(&self, name: &str, scan_on_push: bool) -> (&str, Vec<String>) {
        let fitting = |rule: &ScanningRule| -> Vec<String> {
            rule.filters.iter().filter(|filter| registry::fits(filter, name)).cloned().collect()
        };
        match self.rules.iter().map(|rule| (rule, fitting(rule))).find(|(_, filters)| !filters.is_empty()) {
            Some((rule, filters)) => (&rule.frequency, filters),
            None if scan_on_push => (scan_frequency::SCAN_ON_PUSH, Vec::new()),
            None => (scan_frequency::MANUAL, Vec::new()),
        }
    }
}

impl Default for ScanningRecord {
    fn default() -> ScanningRecord {
        ScanningRecord::new(scan_type::BASIC.to_owned(), Vec::new())
    }
}

pub(crate) fn filter(pattern: String) -> ScanningRepositoryFilter {
    let filter_type = scanning_repository_filter_type::WILDCARD.to_owned();
    ScanningRepositoryFilter { filter: Some(pattern), filter_type: Some(filter_type) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_applies() {
        let rule = |frequency: &str, filters: &[&str]| ScanningRule {
            frequency: frequency.to_owned(),
            filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        };
        let record = ScanningRecord::new(
            "BASIC".to_owned(),
            vec![rule("SCAN_ON_PUSH", &["prod*", "*web"]), rule("MANUAL", &["*"])],
        );
        assert_eq!(record.applied("prod/web", false), ("SCAN_ON_PUSH", vec!["prod*".to_owned(), "*web".to_owned()]));
        assert_eq!(record.applied("dev", true), ("MANUAL", vec!["*".to_owned()]));
        assert_eq!(ScanningRecord::default().applied("dev", true), ("SCAN_ON_PUSH", vec![]));
        assert_eq!(ScanningRecord::default().applied("dev", false), ("MANUAL", vec![]));
    }
}
