//! Where log events go.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// One log event, as PutLogEvents takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Never empty.
    pub message: String,
}

/// Of the wall clock, as the service has it.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// CloudWatch Logs, as far as a driver needs it. [`crate::fake`] is the other implementation, [`crate::exam`] examines both.
///
/// Calls may be concurrent, and may be dropped before they answer. After [`SinkError::Unreachable`] a call may have
/// happened or not. `create_*` of what exists is refused with `ResourceAlreadyExistsException` and changes nothing; a `put`
/// that is repeated stores its events again.
#[async_trait]
pub trait LogSink: Send + Sync + 'static {
    async fn create_group(&self, group: &str) -> Result<(), SinkError>;
    async fn create_stream(&self, group: &str, stream: &str) -> Result<(), SinkError>;
    /// Stores a batch that is within the limits of PutLogEvents. It is durable when this returns.
    async fn put(&self, group: &str, stream: &str, events: &[Event]) -> Result<(), SinkError>;
    /// A stream's events from one time to another, both included, in the order of their times. Each comes with the time at
    /// which it was put, which the events of one `put` have in common.
    async fn stored(&self, group: &str, stream: &str, from_ms: i64, to_ms: i64)
    -> Result<Vec<(i64, Event)>, SinkError>;
}

/// How a sink fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The service said no, with a code of AWS.
    #[error("{code}: {message}")]
    Refused { code: String, message: String, status: u16 },
    /// Nobody answered, or not in time, or not in a language we know. In the words of the SDK in Docker.
    #[error("RequestError: send request failed: {0}")]
    Unreachable(String),
}

/// What a failure means for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is wrong with the call; later it may succeed.
    Passing,
    /// There is no such group or stream.
    Missing,
    /// It is done already.
    Done,
    /// Saying it again will not help.
    Lasting,
}

/// Codes with which AWS says "later", whatever the status. Keys are among them: an agent gets new ones before the old expire,
/// and a clock is set right.
const PASSING: [&str; 14] = [
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "OperationAbortedException",
    "ServiceUnavailableException",
    "ExpiredTokenException",
    "RequestExpired",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "InvalidSequenceTokenException",
];

impl SinkError {
    /// The service's error code, if a service answered at all.
    pub fn code(&self) -> Option<&str> {
        match self {
            SinkError::Refused { code, .. } => Some(code),
            SinkError::Unreachable(_) => None,
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        let SinkError::Refused { code, status, .. } = self else { return Fault::Passing };
        match code.as_str() {
            "ResourceNotFoundException" => Fault::Missing,
            "ResourceAlreadyExistsException" | "DataAlreadyAcceptedException" => Fault::Done,
            code if *status >= 500 || *status == 429 || PASSING.contains(&code) => Fault::Passing,
            _ => Fault::Lasting,
        }
    }
}

/// A log group or stream could not be made. In Docker's words, with its spelling of CloudWatch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("failed to create Cloudwatch log group: {0}")]
    Group(SinkError),
    #[error("failed to create Cloudwatch log stream: {0}")]
    Stream(SinkError),
}

impl CreateError {
    pub fn cause(&self) -> &SinkError {
        let (CreateError::Group(cause) | CreateError::Stream(cause)) = self;
        cause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, status: u16, expected: Fault) {
        let error = SinkError::Refused { code: code.into(), message: "m".into(), status };
        assert_eq!(error.fault(), expected, "{code} {status}");
    }

    #[test]
    fn what_a_failure_means() {
        check("ThrottlingException", 400, Fault::Passing);
        check("ServiceUnavailableException", 500, Fault::Passing);
        check("503", 503, Fault::Passing);
        check("InternalFailure", 500, Fault::Passing);
        check("429", 429, Fault::Passing);
        check("ExpiredTokenException", 400, Fault::Passing);
        check("ResourceNotFoundException", 400, Fault::Missing);
        check("ResourceAlreadyExistsException", 400, Fault::Done);
        check("DataAlreadyAcceptedException", 400, Fault::Done);
        check("AccessDeniedException", 400, Fault::Lasting);
        check("InvalidParameterException", 400, Fault::Lasting);
        check("LimitExceededException", 400, Fault::Lasting);
        assert_eq!(SinkError::Unreachable("refused".into()).fault(), Fault::Passing);
    }

    #[test]
    fn the_words_of_docker() {
        let message = "The specified log group does not exist.".to_owned();
        let missing = SinkError::Refused { code: "ResourceNotFoundException".into(), message, status: 400 };
        assert_eq!(
            CreateError::Stream(missing).to_string(),
            "failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."
        );
    }
}
