//! The errors of ECS, in its own words.

pub(crate) use api_ecs::{Error, ErrorCode};

/// A parameter that ECS refuses after the model's own constraints are met.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidParameterException, message)
}

/// What ECS blames on the client without naming a parameter.
pub(crate) fn client(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::ClientException, message)
}

pub(crate) fn cluster_not_found() -> Error {
    Error::new(ErrorCode::ClusterNotFoundException, "Cluster not found.")
}

/// A feature of ECS that Berth does not have yet. Saying so beats pretending.
pub(crate) fn unsupported(feature: &str) -> Error {
    Error::new(ErrorCode::UnsupportedFeatureException, format!("{feature} is not supported by this version of Berth."))
}
