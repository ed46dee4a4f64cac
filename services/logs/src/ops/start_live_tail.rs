//! StartLiveTail: events as they come in, until the client goes or three hours are over.

use std::collections::BTreeMap;

use api_logs::{Error, LiveTailSessionStart, StartLiveTailRequest, StartLiveTailResponse, StartLiveTailResponseStream};
use futures::StreamExt;
use shape::{Caller, Streamed};

use crate::live::{TooMany, Wanted, WantedStreams};
use crate::names;
use crate::pattern::FilterPattern;
use crate::refusals::{group_not_found, invalid, limit_exceeded, refuse_other_class};
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: StartLiveTailRequest,
) -> Result<Streamed<StartLiveTailResponse, StartLiveTailResponseStream>, Error> {
    let start = LiveTailSessionStart {
        request_id: Some(caller.request_id.clone()),
        session_id: Some(caller.request_id.clone()),
        log_group_identifiers: input.log_group_identifiers.clone(),
        log_stream_names: input.log_stream_names.clone(),
        log_stream_name_prefixes: input.log_stream_name_prefixes.clone(),
        log_event_filter_pattern: input.log_event_filter_pattern.clone(),
    };
    let wanted = parse(caller, input)?;
    for key in wanted.groups.keys() {
        refuse_other_class(&service.store.group(key).ok_or_else(group_not_found)?)?;
    }
    let events = service.live.start(wanted, start);
    let events =
        events.map_err(|TooMany| limit_exceeded("Account maximum Live Tail session limit of [15] reached."))?;
    Ok(Streamed { initial: StartLiveTailResponse::default(), events: events.boxed() })
}

fn parse(caller: &Caller, input: StartLiveTailRequest) -> Result<Wanted, Error> {
    let mut groups = BTreeMap::new();
    for identifier in input.log_group_identifiers.unwrap_or_default() {
        // "You must specify ARNs"; names would be ambiguous between accounts.
        if !identifier.starts_with("arn:") {
            return Err(invalid(format!("logGroupIdentifiers must be ARNs: {identifier}")));
        }
        groups.insert(names::group_of_arn(caller, &identifier)?, called(caller, &identifier));
    }
    let streams = match (input.log_stream_names, input.log_stream_name_prefixes) {
        (Some(_), Some(_)) => {
            return Err(invalid("LogStreamNames and LogStreamNamePrefixes cannot be both specified."));
        }
        (None, None) => WantedStreams::All,
        // "you can't specify log streams if you specify more than one log group"
        (_, _) if groups.len() != 1 => {
            return Err(invalid("Log streams can only be specified with exactly one log group."));
        }
        (Some(names), None) => WantedStreams::Named(names),
        (None, Some(prefixes)) => WantedStreams::Prefixes(prefixes),
    };
    let pattern = FilterPattern::parse(input.log_event_filter_pattern.as_deref().unwrap_or_default());
    let pattern = pattern.map_err(|refused| invalid(refused.to_string()))?;
    Ok(Wanted { account: caller.account.clone(), groups, streams, pattern })
}

/// Events name their group as `ACCOUNT:NAME`.
fn called(caller: &Caller, arn: &str) -> String {
    let name = arn.splitn(7, ':').nth(6).unwrap_or_default();
    format!("{}:{}", caller.account, name.strip_suffix(":*").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &[&str], streams: Option<&str>, prefixes: Option<&str>, refused: Option<&str>) {
        let arn = "arn:aws:logs:eu-west-1:111122223333:log-group:";
        let list = |one: &str| vec![one.to_owned()];
        let input = StartLiveTailRequest {
            log_group_identifiers: Some(groups.iter().map(|name| name.replace('^', arn)).collect()),
            log_stream_names: streams.map(list),
            log_stream_name_prefixes: prefixes.map(list),
            log_event_filter_pattern: None,
        };
        let wanted = parse(&Caller::root("111122223333", "eu-west-1"), input).map_err(|error| error.message);
        match (wanted, refused) {
            (Ok(wanted), None) => assert_eq!(wanted.groups.values().next().unwrap(), "111122223333:/ecs/a"),
            (Err(message), Some(part)) => assert!(message.contains(part), "{message}"),
            (wanted, _) => panic!("{groups:?}: {}", wanted.is_ok()),
        }
    }

    #[test]
    fn which_streams_of_which_groups() {
        check(&["^/ecs/a"], None, None, None);
        check(&["^/ecs/a:*", "^/ecs/b"], None, None, None);
        check(&["^/ecs/a"], Some("x"), None, None);
        check(&["^/ecs/a"], None, Some("x"), None);
        check(&["/ecs/a"], None, None, Some("must be ARNs"));
        check(&["^/ecs/a"], Some("x"), Some("x"), Some("both"));
        check(&["^/ecs/a", "^/ecs/b"], Some("x"), None, Some("exactly one"));
    }
}
