//! The konsil command.

fn main() {}
