//! The small program beside every task.

fn main() {}
