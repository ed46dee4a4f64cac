//! TestMetricFilter: what a pattern would find in given messages.

use api_logs::{Error, MetricFilterMatchRecord, TestMetricFilterRequest, TestMetricFilterResponse};
use shape::Caller;

use crate::pattern::FilterPattern;
use crate::refusals::invalid;
use crate::service::LogsService;

pub(crate) async fn run(
    _service: &LogsService,
    _caller: &Caller,
    input: TestMetricFilterRequest,
) -> Result<TestMetricFilterResponse, Error> {
    let pattern = FilterPattern::parse(input.filter_pattern.as_deref().unwrap_or_default());
    let pattern = pattern.map_err(|_| invalid("Invalid filter pattern"))?;
    let messages = input.log_event_messages.unwrap_or_default().into_iter().enumerate();
    let matched =
        messages.filter(|(_, message)| pattern.matches(message)).map(|(at, message)| MetricFilterMatchRecord {
            // Counted from zero, as in the example of the API Reference.
            event_number: i64::try_from(at).ok(),
            extracted_values: Some(pattern.values(&message)),
            event_message: Some(message),
        });
    Ok(TestMetricFilterResponse { matches: Some(matched.collect()) })
}
