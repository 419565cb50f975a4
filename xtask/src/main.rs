//! Set-up, tests and gates.
fn main() {}
