#![doc = include_str!("../README.md")]

mod activity;
mod authorization;
mod client;
mod commit;
mod config;
mod conflict;
mod connection;
mod credentials;
mod entity;
mod erase;
mod erase_entity;
mod error;
mod failure;
mod hiding;
mod hook;
mod host;
mod lease;
mod lineage;
mod look;
mod name;
mod onboarding;
mod owner;
mod plan;
mod push;
mod retention;
mod row;
mod run;
mod run_rows;
mod schema;
mod sealed;
mod seen;
mod storage;
mod sweep;
mod table;
mod time;
mod value;
mod view;
mod worker;

/// The SQLite library itself, in the version that hooks are handed transactions of.
pub use rusqlite;

pub use self::{
    hook::{Committed, HookResult},
    schema::migrations,
    storage::{SqliteBuilder, SqliteStorage},
};
