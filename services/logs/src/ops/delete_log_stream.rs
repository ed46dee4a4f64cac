//! DeleteLogStream: the stream and its events.

use api_logs::{DeleteLogStreamRequest, Error};
use shape::Caller;

use crate::names;
use crate::refusals::change;
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: DeleteLogStreamRequest) -> Result<(), Error> {
    let stream = names::stream(caller, input.log_group_name, input.log_stream_name)?;
    service.store.delete_stream(stream).await.map_err(change)
}
