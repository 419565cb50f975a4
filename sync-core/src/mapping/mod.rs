//! Mapping: which fields of a stream become which fields of an entity type, and who may write them.
//!
//! A [`Mapping`] is data. [`Mapping::compile`] checks it and answers a [`CompiledMapping`], which turns batches of the stream into
//! batches of the target without I/O.

mod apply;
mod authority;
mod back;
mod cell;
mod compile;
mod contest;
mod merge;
mod model;
mod schema;
mod transform;

pub use self::{
    apply::Mapped,
    authority::{Authority, Decision, Stored, decide},
    cell::Cell,
    compile::CompiledMapping,
    contest::{ConflictState, Contested, FieldOwner, FieldSource, Rival, Said, Standing, alike, contend, gone},
    merge::{Merge, Owner, merge},
    model::{Column, Mapping, OnError, Step},
    transform::{Made, Transform, TransformError, Transforms, transform_options},
};
