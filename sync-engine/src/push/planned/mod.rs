//! Plans of pushes: a push that stops before it sends, and what it would have sent, applied later in whole or in part by a push of that
//! and nothing else.

mod apply;
mod items;
mod kept;
mod look;
mod screen;
mod sight;

pub(crate) use self::{apply::apply, look::plan, screen::Screen};
