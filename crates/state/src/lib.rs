//! The snapshot everybody reads and the changes everybody makes, as plain values.
