//! The command as its users meet it: arguments in, text and exit codes out.

mod browser;
mod clients;
mod configuration;
mod conflicts;
mod demo;
mod drift;
mod erase;
mod examples;
mod explain;
mod history;
mod house;
mod journey;
mod mapping;
#[cfg(feature = "postgres")]
mod postgres;
mod push;
mod sandbox;
mod secrets;
mod slack;
mod wrong;
