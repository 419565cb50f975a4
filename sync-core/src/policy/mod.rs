//! Policies as values and pure functions: time and randomness are handed in.

mod retry;

pub use self::retry::RetryPolicy;
