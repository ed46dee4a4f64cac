//! PutReplicationConfiguration: images that are pushed from now on are copied within this Berth.

use std::collections::BTreeSet;

use api_ecr::enums::repository_filter_type;
use api_ecr::{
    Error, PutReplicationConfigurationRequest, PutReplicationConfigurationResponse, ReplicationConfiguration,
    ReplicationDestination, RepositoryFilter,
};
use registry::{Destination, Holder, Replication, ReplicationRule, Scope};
use shape::Caller;

use crate::limits::REPLICATION_DESTINATIONS_MAX;
use crate::names;
use crate::refusals::{invalid, required};
use crate::service::EcrService;

const PARAMETER: &str = "replicationConfiguration";

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: PutReplicationConfigurationRequest,
) -> Result<PutReplicationConfigurationResponse, Error> {
    let scope = names::scope(caller)?;
    let replication = parse(&scope, required(input.replication_configuration, PARAMETER)?)?;
    let shown = view(replication.clone());
    service
        .on_disk(move |registry| registry.put_record(Holder::Registry(&scope), Replication::RECORD, &replication))
        .await?;
    Ok(PutReplicationConfigurationResponse { replication_configuration: Some(shown) })
}

fn parse(source: &Scope, configuration: ReplicationConfiguration) -> Result<Replication, Error> {
    let mut rules = Vec::new();
    for rule in required(configuration.rules, "rules")? {
        if rule.delete_replication.is_some_and(|delete| delete.enabled == Some(true)) {
            return Err(invalid(PARAMETER, "deleteReplication is not supported by this version of Berth"));
        }
        let destinations = required(rule.destinations, "destinations")?;
        if destinations.is_empty() {
            return Err(invalid(PARAMETER, "Replication rule must have at least one destination"));
        }
        let filters = rule.repository_filters.unwrap_or_default();
        rules.push(ReplicationRule {
            destinations: destinations.into_iter().map(|to| destination(source, to)).collect::<Result<_, _>>()?,
            prefixes: filters.into_iter().map(|filter| required(filter.filter, "filter")).collect::<Result<_, _>>()?,
        });
    }
    let unique: BTreeSet<_> = rules.iter().flat_map(|rule| &rule.destinations).collect();
    if unique.len() > REPLICATION_DESTINATIONS_MAX {
        let constraint =
            format_args!("Replication rules must have at most {REPLICATION_DESTINATIONS_MAX} unique destinations");
        return Err(invalid(PARAMETER, constraint));
    }
    Ok(Replication::new(rules))
}

fn destination(source: &Scope, to: ReplicationDestination) -> Result<Destination, Error> {
    let (account, region) = (required(to.registry_id, "registryId")?, required(to.region, "region")?);
    let scope = Scope::new(&account, &region)
        .ok_or_else(|| invalid(PARAMETER, format_args!("Invalid replication destination: {account} in {region}")))?;
    if scope == *source {
        return Err(invalid(PARAMETER, "Replication destination cannot be the same as the source registry"));
    }
    Ok(Destination { account, region })
}

pub(crate) fn view(replication: Replication) -> ReplicationConfiguration {
    let destination =
        |to: Destination| ReplicationDestination { region: Some(to.region), registry_id: Some(to.account) };
    let filter = |prefix: String| RepositoryFilter {
        filter: Some(prefix),
        filter_type: Some(repository_filter_type::PREFIX_MATCH.to_owned()),
    };
    let rule = |rule: ReplicationRule| api_ecr::ReplicationRule {
        destinations: Some(rule.destinations.into_iter().map(destination).collect()),
        repository_filters: Some(rule.prefixes.into_iter().map(filter).collect())
            .filter(|filters: &Vec<_>| !filters.is_empty()),
        delete_replication: None,
    };
    ReplicationConfiguration { rules: Some(replication.rules.into_iter().map(rule).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(destinations: &[(&str, &str)], expected: Result<usize, &str>) {
        let to = |(account, region): &(&str, &str)| ReplicationDestination {
            region: Some((*region).to_owned()),
            registry_id: Some((*account).to_owned()),
        };
        let rule = api_ecr::ReplicationRule {
            destinations: Some(destinations.iter().map(to).collect()),
            repository_filters: None,
            delete_replication: None,
        };
        let source = Scope::new("111122223333", "eu-west-1").unwrap();
        let parsed = parse(&source, ReplicationConfiguration { rules: Some(vec![rule]) });
        match (parsed, expected) {
            (Ok(parsed), Ok(count)) => assert_eq!(parsed.rules[0].destinations.len(), count),
            (Err(error), Err(part)) => assert!(error.message.contains(part), "{}", error.message),
            (parsed, expected) => panic!("{parsed:?}, not {expected:?}"),
        }
    }

    #[test]
    fn destinations_are_other_registries() {
        check(&[("111122223333", "us-east-1"), ("444455556666", "eu-west-1")], Ok(2));
        check(&[], Err("at least one destination"));
        check(&[("111122223333", "eu-west-1")], Err("cannot be the same as the source registry"));
        check(&[("111122223333", "Mars/1")], Err("Invalid replication destination"));
        let regions: Vec<String> = (0..26).map(|n| format!("us-east-{n}")).collect();
        let many: Vec<_> = regions.iter().map(|region| ("111122223333", region.as_str())).collect();
        check(&many[..25], Ok(25));
        check(&many, Err("at most 25 unique destinations"));
    }
}
