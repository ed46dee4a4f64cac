//! What happens next: pure functions from a snapshot to decisions.
