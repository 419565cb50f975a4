#![doc = include_str!("../README.md")]

mod api;
mod config;
mod cursor;
mod draft;
mod error;
mod look;
mod map;
mod mapping;
mod oauth;
mod passthrough;
mod people;
mod provider;
mod push;
mod read;
#[cfg(feature = "simulator")]
pub mod simulator;
mod streams;
mod ts;

pub use self::{
    config::{ConversationType, Settings},
    mapping::communication,
    provider::{Slack, SlackBuilder},
};
