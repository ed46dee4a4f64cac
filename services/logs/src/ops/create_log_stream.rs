//! CreateLogStream.

use api_logs::{CreateLogStreamRequest, Error};
use shape::Caller;

use crate::names;
use crate::refusals::change;
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: CreateLogStreamRequest) -> Result<(), Error> {
    let stream = names::stream(caller, input.log_group_name, input.log_stream_name)?;
    service.store.create_stream(stream, service.now()).await.map_err(change)
}
