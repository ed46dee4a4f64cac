//! DescribeQueries: those under way and those that ended, the newest first.

use api_logs::{DescribeQueriesRequest, DescribeQueriesResponse, Error, QueryInfo, enums::query_language};
use shape::Caller;

use crate::limits::QUERIES_PAGE;
use crate::ops::start_query::refuse_language;
use crate::queries::Entry;
use crate::refusals::invalid_token;
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DescribeQueriesRequest,
) -> Result<DescribeQueriesResponse, Error> {
    refuse_language(input.query_language.as_deref())?;
    let mut entries = service.queries.all(&caller.account, &caller.region);
    if let Some(token) = &input.next_token {
        // A token is the last query of its page; one that was forgotten meanwhile leads nowhere.
        let last = entries.iter().position(|entry| entry.asked.id == *token).ok_or_else(invalid_token)?;
        entries.drain(..=last);
    }
    entries.retain(|entry| {
        input.log_group_name.as_ref().is_none_or(|name| entry.asked.groups.iter().any(|key| key.group == *name))
            && input.status.as_ref().is_none_or(|status| entry.progress().status == status)
    });
    let size = input.max_results.and_then(|size| usize::try_from(size).ok()).unwrap_or(QUERIES_PAGE);
    let more = entries.len() > size;
    entries.truncate(size);
    let next_token = entries.last().filter(|_| more).map(|entry| entry.asked.id.clone());
    let now = service.now();
    let queries = entries.iter().map(|entry| info(entry, now)).collect();
    Ok(DescribeQueriesResponse { queries: Some(queries), next_token })
}

fn info(entry: &Entry, now: shape::Timestamp) -> QueryInfo {
    let (asked, progress) = (&entry.asked, entry.progress());
    let lasted = progress.ended.unwrap_or(now).since(asked.created);
    QueryInfo {
        query_language: Some(query_language::CWLI.to_owned()),
        query_id: Some(asked.id.clone()),
        query_string: Some(asked.text.clone()),
        status: Some(progress.status.to_owned()),
        create_time: Some(asked.created.as_millis()),
        log_group_name: asked.groups.first().map(|key| key.group.clone()),
        query_duration: i64::try_from(lasted.as_millis()).ok(),
        bytes_scanned: Some(progress.statistics.bytes_scanned as f64),
        user_identity: Some(asked.identity.clone()),
    }
}
