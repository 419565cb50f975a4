#![doc = include_str!("../README.md")]

mod a1;
mod api;
mod config;
mod dates;
mod error;
mod header;
mod map;
mod oauth;
mod position;
mod provider;
mod push;
mod read;
#[cfg(feature = "simulator")]
pub mod simulator;

pub use self::{
    config::Settings,
    provider::{Sheets, SheetsBuilder},
};
