//! What a client is told when an operation fails, and what only the log sees.

use std::error::Error;
use std::fmt;

use crate::document::Document;

/// The chain behind an error: logged, never sent.
pub type Source = Box<dyn Error + Send + Sync + 'static>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Client,
    Server,
}

/// What the model says about one error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorFacts {
    /// The name in the model, which JSON protocols send as `__type`.
    pub name: &'static str,
    /// What query and XML protocols send as `Code`; often the name without `Exception`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    pub fault: Fault,
}

impl ErrorFacts {
    pub const fn client(name: &'static str, status: u16) -> ErrorFacts {
        ErrorFacts { name, code: name, status, fault: Fault::Client }
    }

    pub const fn server(name: &'static str, status: u16) -> ErrorFacts {
        ErrorFacts { name, code: name, status, fault: Fault::Server }
    }

    pub const fn code(mut self, code: &'static str) -> ErrorFacts {
        self.code = code;
        self
    }
}

/// The error codes of one service: a generated enum.
pub trait ErrorCode: Copy + fmt::Debug + Send + Sync + 'static {
    fn facts(self) -> &'static ErrorFacts;
}

/// How an operation fails: a code the service has, a message for the client, and the truth for the log.
#[derive(Debug)]
pub struct OperationError<C> {
    pub code: C,
    pub message: String,
    /// Members of the exception beside its message, for example `resourceIds` of `ConflictException`.
    pub members: Vec<(&'static str, Document)>,
    source: Option<Source>,
}

impl<C: ErrorCode> OperationError<C> {
    pub fn new(code: C, message: impl Into<String>) -> Self {
        OperationError { code, message: message.into(), members: Vec::new(), source: None }
    }

    /// Adds what went wrong inside. It is logged, never sent.
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn with_member(mut self, name: &'static str, value: Document) -> Self {
        self.members.push((name, value));
        self
    }
}

impl<C: ErrorCode> fmt::Display for OperationError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.facts().name, self.message)
    }
}

impl<C: ErrorCode> Error for OperationError<C> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error of any service, ready for any protocol.
#[derive(Debug)]
pub struct WireError {
    pub facts: ErrorFacts,
    /// Some errors of AWS have no message at all.
    pub message: Option<String>,
    pub members: Vec<(&'static str, Document)>,
    pub source: Option<Source>,
}

impl WireError {
    pub fn new(facts: ErrorFacts, message: impl Into<String>) -> WireError {
        WireError { facts, message: Some(message.into()), members: Vec::new(), source: None }
    }

    pub fn silent(facts: ErrorFacts) -> WireError {
        WireError { facts, message: None, members: Vec::new(), source: None }
    }

    pub fn with_source(mut self, source: impl Into<Source>) -> WireError {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.facts.name),
            None => f.write_str(self.facts.name),
        }
    }
}

impl Error for WireError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl<C: ErrorCode> From<OperationError<C>> for WireError {
    fn from(error: OperationError<C>) -> WireError {
        WireError {
            facts: *error.code.facts(),
            message: Some(error.message),
            members: error.members,
            source: error.source,
        }
    }
}

/// Errors that the front door of every service gives, before any operation runs.
///
/// Source: the "Common Error Types" page of each AWS API reference, and the answers of AWS itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommonError {
    AccessDeniedException,
    IncompleteSignatureException,
    InternalFailure,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    RequestEntityTooLarge,
    SerializationException,
    UnknownOperationException,
    UnrecognizedClientException,
}

impl ErrorCode for CommonError {
    fn facts(self) -> &'static ErrorFacts {
        // The second name is what query services say for the same thing.
        match self {
            CommonError::AccessDeniedException => {
                const { &ErrorFacts::client("AccessDeniedException", 400).code("AccessDenied") }
            }
            CommonError::IncompleteSignatureException => {
                const { &ErrorFacts::client("IncompleteSignatureException", 400).code("IncompleteSignature") }
            }
            CommonError::InternalFailure => const { &ErrorFacts::server("InternalFailure", 500) },
            CommonError::InvalidSignatureException => {
                const { &ErrorFacts::client("InvalidSignatureException", 400).code("SignatureDoesNotMatch") }
            }
            CommonError::MissingAuthenticationTokenException => {
                const { &ErrorFacts::client("MissingAuthenticationTokenException", 400).code("MissingAuthenticationToken") }
            }
            CommonError::RequestEntityTooLarge => const { &ErrorFacts::client("RequestEntityTooLarge", 413) },
            CommonError::SerializationException => {
                const { &ErrorFacts::client("SerializationException", 400).code("MalformedInput") }
            }
            CommonError::UnknownOperationException => {
                const { &ErrorFacts::client("UnknownOperationException", 400).code("InvalidAction") }
            }
            CommonError::UnrecognizedClientException => {
                const { &ErrorFacts::client("UnrecognizedClientException", 400).code("InvalidClientTokenId") }
            }
        }
    }
}
