//! The loop: wake, snapshot, decide, commit; and the server around it.
