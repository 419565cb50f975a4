//! The command as its users meet it: arguments in, text and exit codes out.

mod browser;
mod configuration;
mod conflicts;
mod demo;
mod examples;
mod house;
mod journey;
#[cfg(feature = "postgres")]
mod postgres;
mod push;
mod sandbox;
mod secrets;
mod slack;
mod wrong;
