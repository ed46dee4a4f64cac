//! The Engine contract, its exam, and the loop that keeps a snapshot current.
