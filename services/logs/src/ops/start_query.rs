//! StartQuery: begins a Logs Insights query.

use api_logs::{Error, ErrorCode, StartQueryRequest, StartQueryResponse, enums::query_language};
use log_insights::{MalformedQuery, Query};
use log_store::GroupKey;
use shape::{Caller, Document};

use crate::limits::QUERY_GROUPS_MAX;
use crate::names;
use crate::queries::{Asked, TooMany};
use crate::refusals::{invalid, limit_exceeded};
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: StartQueryRequest,
) -> Result<StartQueryResponse, Error> {
    refuse_language(input.query_language.as_deref())?;
    let groups = groups(caller, input.log_group_name, input.log_group_names, input.log_group_identifiers)?;
    if let Some(missing) = groups.iter().find(|key| service.store.group(key).is_none()) {
        let message = format!("Log group '{}' does not exist for account ID '{}'", missing.group, missing.account);
        return Err(Error::new(ErrorCode::ResourceNotFoundException, message));
    }
    let (start, end) = (millis(input.start_time), millis(input.end_time));
    if end < start {
        return Err(invalid("End time should not be less than start time"));
    }
    let text = input.query_string.unwrap_or_default();
    let query = Query::parse(&text).map_err(malformed)?;
    // Every request has an id of its own, and so has every query.
    let id = caller.request_id.clone();
    let asked = Asked {
        id: id.clone(),
        account: caller.account.clone(),
        region: caller.region.clone(),
        groups,
        text,
        query,
        limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
        range: (start, end),
        created: service.now(),
        identity: caller.principal.arn.clone(),
    };
    match service.queries.start(service.store.clone(), service.clock.clone(), asked) {
        Ok(()) => Ok(StartQueryResponse { query_id: Some(id) }),
        Err(TooMany) => Err(limit_exceeded("Account maximum query concurrency limit of [100] reached.")),
    }
}

pub(crate) fn refuse_language(language: Option<&str>) -> Result<(), Error> {
    match language {
        None | Some(query_language::CWLI) => Ok(()),
        Some(other) => Err(invalid(format!("The query language {other} is not available. Use CWLI."))),
    }
}

/// The groups of a request that may name them in three ways, exactly one of which must be used.
fn groups(
    caller: &Caller,
    name: Option<String>,
    names: Option<Vec<String>>,
    identifiers: Option<Vec<String>>,
) -> Result<Vec<GroupKey>, Error> {
    let mut groups: Vec<GroupKey> = match (name, names, identifiers) {
        (Some(name), None, None) => vec![names::group_key(caller, name)],
        (None, Some(all), None) => all.into_iter().map(|name| names::group_key(caller, name)).collect(),
        (None, None, Some(all)) => all.iter().map(|one| names::identified(caller, one)).collect::<Result<_, _>>()?,
        _ => {
            return Err(invalid(
                "Exactly one of logGroupName, logGroupNames and logGroupIdentifiers must be specified.",
            ));
        }
    };
    // A group that is named twice is read once.
    groups.sort();
    groups.dedup();
    if groups.is_empty() {
        return Err(invalid("At least one log group must be specified."));
    }
    match groups.len() > QUERY_GROUPS_MAX {
        true => Err(invalid(format!("A query can have no more than {QUERY_GROUPS_MAX} log groups."))),
        false => Ok(groups),
    }
}

/// The page says seconds, and AWS takes milliseconds too: the console sends them. Seconds of that size lie behind the year 5000.
fn millis(time: Option<i64>) -> i64 {
    const MILLIS_FROM: i64 = 100_000_000_000;
    let time = time.unwrap_or_default();
    if time < MILLIS_FROM { time * 1000 } else { time }
}

fn malformed(refused: MalformedQuery) -> Error {
    let offset = |offset: usize| Document::Integer(offset as i64);
    let location =
        Document::Structure(vec![("startCharOffset", offset(refused.start)), ("endCharOffset", offset(refused.end))]);
    let text = refused.to_string();
    let compile_error = Document::Structure(vec![("location", location), ("message", Document::String(text.clone()))]);
    Error::new(ErrorCode::MalformedQueryException, text).with_member("queryCompileError", compile_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_milliseconds() {
        assert_eq!(millis(Some(1_700_000_000)), 1_700_000_000_000);
        assert_eq!(millis(Some(1_700_000_000_123)), 1_700_000_000_123);
        assert_eq!(millis(None), 0);
    }

    #[test]
    fn groups_are_named_in_one_way() {
        let caller = Caller::root("111122223333", "eu-west-1");
        let two = || Some(vec!["b".to_owned(), "a".to_owned(), "b".to_owned()]);
        let names: Vec<_> = groups(&caller, None, two(), None).unwrap().into_iter().map(|key| key.group).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(groups(&caller, Some("a".to_owned()), two(), None).is_err());
        assert!(groups(&caller, None, None, None).is_err());
        assert!(groups(&caller, None, Some(Vec::new()), None).is_err());
        let many = (0..51).map(|i| format!("g{i}")).collect();
        assert!(groups(&caller, None, Some(many), None).is_err());
    }
}
