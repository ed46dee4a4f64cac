//! What happens next: the loops of the control plane as functions of a snapshot and a time.
//!
//! A reconciler takes no hints. It is woken, reads the whole state that concerns it, and decides again; so the first run
//! after a crash is the same code as every other run. It never commits and never waits: whoever calls it does.
//!
//! Start reading at [`service::reconcile`].

#![forbid(unsafe_code)]

pub mod janitor;
pub mod service;

use state::Changes;
use stdx::Timestamp;

/// What a reconciler wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub changes: Changes,
    /// When to look again even if nothing changes until then.
    pub look_again: Option<Timestamp>,
}
