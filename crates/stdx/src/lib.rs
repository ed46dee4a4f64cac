//! What the standard library forgot; nothing of Berth in it.
//!
//! Start reading at [`time`]: the one clock-free notion of time that every crate shares.

#![forbid(unsafe_code)]

pub mod duration;
pub mod ids;
pub mod time;

pub use duration::parse_duration;
pub use ids::Ids;
pub use time::Timestamp;
