//! Tokens and keys over a long time: renewed ahead of their end whether or not anybody uses them, in runs that outlive them, and sealed
//! anew while everything goes on (reliability: TS3, TS4, TS6, crash points k1 and k2).

#[path = "../support/mod.rs"]
mod support;

mod ahead;
mod gone;
mod long_run;
mod rotation;
mod scene;
mod validity;
