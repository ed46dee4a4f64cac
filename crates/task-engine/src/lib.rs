//! One task on one container instance, as a state machine.
