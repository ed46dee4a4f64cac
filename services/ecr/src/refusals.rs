//! AWS's words for what cannot be done.

use api_ecr::{Error, ErrorCode};
use registry::RegistryError;

/// `Invalid parameter at 'tags' failed to satisfy constraint: '…'`
pub(crate) fn invalid(parameter: &str, constraint: impl std::fmt::Display) -> Error {
    bad_request(format!("Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'"))
}

pub(crate) fn bad_request(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidParameterException, message)
}

pub(crate) fn refuse(code: ErrorCode, message: impl Into<String>) -> Error {
    Error::new(code, message)
}

/// A member that the model requires. The front door has refused its absence; a typed caller may not have come that way.
pub(crate) fn required<T>(value: Option<T>, parameter: &str) -> Result<T, Error> {
    value.ok_or_else(|| invalid(parameter, "Member must not be null"))
}

/// Our fault: the client may try again, and the log says what happened.
pub(crate) fn broken(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    tracing::error!(error = &source as &dyn std::error::Error, cause = source.source(), "the registry failed");
    Error::new(ErrorCode::ServerException, "The service cannot complete the request.").with_source(source)
}

pub(crate) fn registry(error: RegistryError) -> Error {
    let code = match &error {
        RegistryError::NameUnknown { .. } => ErrorCode::RepositoryNotFoundException,
        RegistryError::RepositoryExists { .. } => ErrorCode::RepositoryAlreadyExistsException,
        RegistryError::RepositoryNotEmpty { .. } => ErrorCode::RepositoryNotEmptyException,
        RegistryError::TagImmutable { .. } => ErrorCode::ImageTagAlreadyExistsException,
        RegistryError::ManifestInvalid { reason } => return invalid("imageManifest", reason),
        RegistryError::TooLarge { limit } => {
            return invalid("imageManifest", format_args!("Member must have length less than or equal to {limit}"));
        }
        RegistryError::TooManyUploads | RegistryError::TooManyStreams => ErrorCode::LimitExceededException,
        _ => return broken(error),
    };
    Error::new(code, error.to_string())
}
