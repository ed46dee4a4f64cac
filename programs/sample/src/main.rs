//! The sample web application.

fn main() {}
