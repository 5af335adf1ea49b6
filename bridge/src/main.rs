//! The `capbridge` program.

fn main() {}
