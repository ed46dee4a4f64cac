//! How fast queries read a million events, and how much memory they take: `cargo bench -p service-logs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api_logs::*;
use log_store::LogStore;
use service_logs::LogsService;
use shape::{Caller, Timestamp};
use state::MemoryLedger;
use tempfile::TempDir;

const STREAMS: usize = 10;
const BATCHES: usize = 20;
const EVENTS: usize = 5000;
const NOW: i64 = 1_700_000_000_000;

const QUERIES: &[&str] = &[
    "filter @message like 'never there' | stats count(*)",
    "fields @timestamp, @message | sort @timestamp desc | limit 20",
    "filter @message like /\"status\":50[0-3]/ | stats count(*) by bin(1m)",
    "filter status >= 500 | fields path, latency | sort latency desc | limit 100",
    "stats count(*), avg(latency), pct(latency, 99), count_distinct(user.id) by path",
    "parse @message '\"path\":\"*\"' as where | stats count(*) by where",
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(LogStore::open(directory.path()).unwrap());
    let service =
        LogsService::new(store, Arc::new(MemoryLedger::default())).with_clock(Arc::new(|| Timestamp::from_millis(NOW)));
    let mut caller = Caller::root("000000000000", "us-east-1");
    fill(&service, &caller).await;
    println!("{} events of about 100 bytes; resident {} KiB", STREAMS * BATCHES * EVENTS, resident());
    for (at, query) in QUERIES.iter().enumerate() {
        // Queries are named after their requests.
        caller.request_id = format!("{at}");
        let start = Instant::now();
        let answer = ask(&service, &caller, query).await;
        let took = start.elapsed();
        let scanned = answer.statistics.and_then(|statistics| statistics.records_scanned).unwrap_or_default();
        let rate = scanned / took.as_secs_f64();
        let rows = answer.results.map_or(0, |rows| rows.len());
        println!("{took:>10.1?} {rate:>9.0} events/s {rows:>4} rows, resident {} KiB: {query}", resident());
    }
}

async fn fill(service: &LogsService, caller: &Caller) {
    let text = |text: &str| Some(text.to_owned());
    let group = CreateLogGroupRequest { log_group_name: text("large"), ..Default::default() };
    service.create_log_group(caller, group).await.unwrap();
    for stream in 0..STREAMS {
        let name = format!("web/{stream}");
        let stream = CreateLogStreamRequest { log_group_name: text("large"), log_stream_name: text(&name) };
        service.create_log_stream(caller, stream).await.unwrap();
        for batch in 0..BATCHES {
            let event = |at: usize| {
                let (number, latency) = (batch * EVENTS + at, (at * 7919) % 1000);
                let status = if at.is_multiple_of(50) { 500 + at % 4 } else { 200 };
                InputLogEvent {
                    timestamp: Some(NOW - 600_000 + (number * 5) as i64),
                    message: Some(format!(
                        r#"{{"status":{status},"path":"/items/{}","latency":{latency},"user":{{"id":"u{}"}},"text":"again and again"}}"#,
                        at % 20,
                        number % 9000,
                    )),
                }
            };
            let input = PutLogEventsRequest {
                log_group_name: text("large"),
                log_stream_name: text(&name),
                log_events: Some((0..EVENTS).map(event).collect()),
                ..Default::default()
            };
            service.put_log_events(caller, input).await.unwrap();
        }
    }
}

async fn ask(service: &LogsService, caller: &Caller, query: &str) -> GetQueryResultsResponse {
    let input = StartQueryRequest {
        log_group_name: Some("large".to_owned()),
        start_time: Some(0),
        end_time: Some(NOW),
        query_string: Some(query.to_owned()),
        ..Default::default()
    };
    let id = service.start_query(caller, input).await.unwrap().query_id;
    loop {
        let results = GetQueryResultsRequest { query_id: id.clone(), ..Default::default() };
        let answer = service.get_query_results(caller, results).await.unwrap();
        match answer.status.as_deref() {
            Some("Scheduled" | "Running") => tokio::time::sleep(Duration::from_millis(5)).await,
            Some("Complete") => return answer,
            other => panic!("{query}: {other:?}"),
        }
    }
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
