//! Why a text is not a query, and where.

/// A query that means nothing.
///
/// Shape: the offsets count characters from zero; the end is exclusive. They are `queryCompileError.location` on AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} and position {column}")]
pub struct MalformedQuery {
    pub message: String,
    pub start: usize,
    pub end: usize,
    pub line: usize,
    pub column: usize,
}
