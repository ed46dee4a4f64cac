//! CloudWatch Logs Insights: the query language, and its meaning over log events. Pure.
//!
//! [`Query::parse`] turns text into commands, or says where the text stops making sense. A [`Run`] is fed one [`Event`]
//! after the other and at the end gives [`Results`]. It never reads a store or a clock, and its memory has a bound
//! ([`limits`]), whatever it is fed.
//!
//! Source: CloudWatch Logs User Guide, "CloudWatch Logs Insights language query syntax".
//! Start reading at `ast`, then `parse`, then `run`.

#![forbid(unsafe_code)]

mod aggregate;
mod ast;
mod bins;
mod collect;
mod distinct;
mod error;
mod evaluate;
mod event;
mod functions;
pub mod limits;
mod needles;
mod order;
mod parse;
mod percentile;
mod row;
mod run;
mod scanner;
mod value;

pub use error::MalformedQuery;
pub use event::{Event, fields_of};
pub use needles::Needles;
pub use run::{Field, Query, Results, Run, TooLarge};
