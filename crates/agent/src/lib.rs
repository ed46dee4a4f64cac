//! The loop on a container instance: desired, observed, steps, apply.
