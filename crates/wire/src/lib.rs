//! The AWS protocols, SigV4, and one port for all services.
//!
//! A request comes in through [`Gateway`]: it finds the service and the operation, asks [`AuthMode`] who is calling,
//! turns bytes into a document with the codec of the service's protocol, checks the model's constraints, and sends
//! back what the service answers. The JSON codec and the signer are public, because a client needs the other half.
//!
//! It knows no operation and no AWS resource; whatever differs between services is in their `shape::ServiceModel`.
//! Start reading at `gateway.rs`.

#![forbid(unsafe_code)]

mod auth;
mod budget;
mod dates;
mod event_stream;
mod gateway;
pub mod json;
pub mod limits;
#[doc(hidden)]
pub mod parsers;
mod protocol;
mod rest;
mod route;
pub mod serve;
pub mod sigv4;

pub use auth::{AuthMode, CredentialStore, DEFAULT_REGION, Key, OPEN_ACCOUNT};
pub use dates::{amz_date, http_date, parse_amz_date, parse_http_date};
pub use gateway::Gateway;
