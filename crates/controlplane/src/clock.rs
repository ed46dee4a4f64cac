//! The one place that reads the clock and draws random numbers. Everything that decides is given both.

use std::time::{SystemTime, UNIX_EPOCH};

use stdx::{Ids, Timestamp};

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Fresh ids that no other call gets.
pub fn seed() -> Ids {
    Ids::from_seed(uuid::Uuid::new_v4().as_u128())
}
