//! Rough speed of every operation.
fn main() {}
