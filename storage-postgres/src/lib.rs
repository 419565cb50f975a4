#![doc = include_str!("../README.md")]

mod activity;
mod authorization;
mod builder;
mod client;
mod commit;
mod config;
mod conflict;
mod connection;
mod credentials;
mod doctor;
mod entity;
mod erase;
mod erase_entity;
mod error;
mod event;
mod failure;
mod fleet;
mod hiding;
mod hook;
mod host;
mod lease;
mod lineage;
mod look;
mod mark;
mod name;
mod named_lease;
mod nul;
mod numbers;
mod onboarding;
mod open;
mod plan;
mod push;
mod retention;
mod row;
mod run;
mod run_rows;
mod scans;
mod schema;
mod sealed;
mod security;
mod session;
mod source;
mod storage;
mod sweep;
mod table;
mod turn;
mod tx;
mod value;
mod view;

/// The driver, in the version that pools are taken and hooks are handed connections of.
pub use sqlx;

pub use self::{
    builder::PostgresBuilder,
    doctor::{Finding, Level, Report, TableFacts},
    hook::{Committed, HookResult},
    schema::{Pending, migrations},
    storage::{PostgresStorage, RowSecurity},
};
