//! Mapping: which fields of a stream become which fields of an entity type, and who may write them.
//!
//! A [`Mapping`] is data. [`Mapping::compile`] checks it and answers a [`CompiledMapping`], which turns batches of the stream into
//! batches of the target without I/O.

mod apply;
mod authority;
mod back;
mod cell;
mod compile;
mod compiled;
mod contest;
mod drift;
mod expression;
#[cfg(feature = "schema")]
mod json_schema;
mod likely;
mod merge;
mod model;
mod policy;
mod problem;
mod rule;
mod schema;
mod sensitive;
mod step;
mod transform;

pub use self::{
    apply::Mapped,
    authority::{Authority, Decision, Stored, decide},
    cell::Cell,
    compiled::CompiledMapping,
    contest::{ConflictState, Contested, FieldOwner, FieldSource, Rival, Said, Standing, alike, contend, gone},
    drift::{Drift, HeaderFingerprint},
    merge::{Merge, Owner, merge},
    model::{Column, Computed, Mapping},
    policy::{Contract, NewColumns, NullPolicy, OnError},
    problem::Problem,
    rule::Rule,
    step::Step,
    transform::{Made, Transform, TransformError, Transforms, transform_options},
};
