//! Chores of the workspace: codegen, tidy, dist.

fn main() {}
