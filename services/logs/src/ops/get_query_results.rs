//! GetQueryResults: how far a query is, and its rows when it is complete.

use api_logs::{
    Error, GetQueryResultsRequest, GetQueryResultsResponse, QueryStatistics, ResultField, enums::query_language,
};
use shape::Caller;

use crate::limits::RESULTS_PAGE;
use crate::queries::Statistics;
use crate::refusals::{invalid_token, query_not_found};
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: GetQueryResultsRequest,
) -> Result<GetQueryResultsResponse, Error> {
    let id = input.query_id.unwrap_or_default();
    let entry = service.queries.find(&caller.account, &caller.region, &id).ok_or_else(query_not_found)?;
    let progress = entry.progress();
    let from = match input.next_token {
        Some(token) => token.parse().ok().filter(|from| *from <= progress.rows.len()).ok_or_else(invalid_token)?,
        None => 0,
    };
    let size = input.max_items.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    let to = progress.rows.len().min(from + size.unwrap_or(RESULTS_PAGE));
    let field =
        |field: &log_insights::Field| ResultField { field: Some(field.name.clone()), value: Some(field.value.clone()) };
    Ok(GetQueryResultsResponse {
        query_language: Some(query_language::CWLI.to_owned()),
        results: Some(progress.rows[from..to].iter().map(|row| row.iter().map(field).collect()).collect()),
        statistics: Some(statistics(progress.statistics, progress.rows.len())),
        status: Some(progress.status.to_owned()),
        next_token: (to < progress.rows.len()).then(|| to.to_string()),
        ..GetQueryResultsResponse::default()
    })
}

fn statistics(statistics: Statistics, rows: usize) -> QueryStatistics {
    let number = |count: u64| Some(count as f64);
    QueryStatistics {
        records_matched: number(statistics.records_matched),
        records_scanned: number(statistics.records_scanned),
        estimated_records_skipped: number(0),
        bytes_scanned: number(statistics.bytes_scanned),
        estimated_bytes_skipped: number(0),
        log_groups_scanned: number(statistics.groups_scanned),
        result_count: number(rows as u64),
    }
}
