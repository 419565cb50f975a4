#![doc = include_str!("../README.md")]

mod activity;
mod commit;
mod connection;
mod doctor;
mod entity;
mod error;
mod failure;
mod fleet;
mod hook;
mod host;
mod lease;
mod lineage;
mod mark;
mod name;
mod nul;
mod numbers;
mod push;
mod retention;
mod row;
mod run;
mod scans;
mod schema;
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
    doctor::{Finding, Level, Report, TableFacts},
    hook::{Committed, HookResult},
    schema::{Pending, migrations},
    storage::{PostgresBuilder, PostgresStorage, RowSecurity},
};
