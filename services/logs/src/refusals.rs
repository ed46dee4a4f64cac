//! AWS's words for what cannot be done.

use std::error::Error as _;

use api_logs::enums::log_group_class;
use api_logs::{Error, ErrorCode};
use log_store::{ChangeError, GroupInfo, ReadError};

pub(crate) fn group_not_found() -> Error {
    not_found("The specified log group does not exist.")
}

fn stream_not_found() -> Error {
    not_found("The specified log stream does not exist.")
}

/// Groups of other classes than the standard one have no filters and no Live Tail.
///
/// Source: User Guide, "Log classes": the table of features.
pub(crate) fn refuse_other_class(group: &GroupInfo) -> Result<(), Error> {
    match group.class.as_deref() {
        None | Some(log_group_class::STANDARD) => Ok(()),
        Some(_) => {
            let message = "The operation is not valid on the specified resource.";
            Err(Error::new(ErrorCode::InvalidOperationException, message))
        }
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidParameterException, message)
}

pub(crate) fn limit_exceeded(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::LimitExceededException, message)
}

fn not_found(message: &str) -> Error {
    Error::new(ErrorCode::ResourceNotFoundException, message)
}

pub(crate) fn query_not_found() -> Error {
    not_found("The specified query does not exist.")
}

pub(crate) fn definition_not_found() -> Error {
    not_found("The specified query definition does not exist.")
}

pub(crate) fn metric_filter_not_found() -> Error {
    not_found("The specified metric filter does not exist.")
}

pub(crate) fn subscription_filter_not_found() -> Error {
    not_found("The specified subscription filter does not exist.")
}

pub(crate) fn invalid_token() -> Error {
    invalid("The specified nextToken is invalid.")
}

/// Our fault: the client may try again, and the log says what happened.
pub(crate) fn broken(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = "The service cannot complete the request.";
    Error::new(ErrorCode::ServiceUnavailableException, message).with_source(source)
}

pub(crate) fn change(error: ChangeError) -> Error {
    let exists = |what: &str| {
        Error::new(ErrorCode::ResourceAlreadyExistsException, format!("The specified log {what} already exists"))
    };
    match error {
        ChangeError::GroupNotFound => group_not_found(),
        ChangeError::StreamNotFound => stream_not_found(),
        ChangeError::GroupExists => exists("group"),
        ChangeError::StreamExists => exists("stream"),
        ChangeError::TooLarge { .. } | ChangeError::Write(_) | ChangeError::Closed => {
            tracing::error!(error = &error as &dyn std::error::Error, cause = error.source(), "failed to change logs");
            broken(error)
        }
    }
}

pub(crate) fn read(error: ReadError) -> Error {
    match error {
        ReadError::GroupNotFound => group_not_found(),
        ReadError::StreamNotFound => stream_not_found(),
        ReadError::Store(_) => {
            tracing::error!(error = &error as &dyn std::error::Error, cause = error.source(), "failed to read logs");
            broken(error)
        }
    }
}
