//! Every command of Berth.

fn main() {}
