//! The provider against the simulated workspace.

mod faults;
mod loopback;
mod messages;
mod oauth;
mod passthrough;
mod people;
mod push;
mod push_find;
mod push_lost;
mod push_model;
mod simulator;
mod streams;
mod support;
