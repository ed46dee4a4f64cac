//! Containers of a task: bundles, shims, exit codes.
