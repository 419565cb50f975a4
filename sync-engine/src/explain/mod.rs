//! Why a value is what it is, and why a row is not there.

mod absence;
mod history;
mod judge;
mod known;
mod model;
mod words;

pub use self::{
    absence::Absence,
    history::History,
    model::{Beside, Change, Explanation, Input, MadeFrom, Making, MappingVersion, Origin, Other, Say, Standing, Why},
    words::Line,
};
