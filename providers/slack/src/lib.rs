#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod map;
mod mapping;
mod people;
mod position;
mod provider;
mod read;
#[cfg(feature = "simulator")]
pub mod simulator;
mod ts;

pub use self::{
    config::Settings,
    mapping::communication,
    provider::{Slack, SlackBuilder},
};
