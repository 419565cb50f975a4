//! Named places where tests stop the process, to prove that starting again loses and doubles nothing.

use std::{fmt, sync::Arc};

/// What happens at a named place: nothing, outside of tests.
#[derive(Clone, Default)]
pub(crate) struct CrashPoints(Option<Arc<dyn Fn(&'static str) + Send + Sync>>);

impl CrashPoints {
    pub(crate) fn new(at: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(at)))
    }

    pub(crate) fn at(&self, point: &'static str) {
        if let Some(at) = &self.0 {
            at(point);
        }
    }
}

impl fmt::Debug for CrashPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "CrashPoints(set)" } else { "CrashPoints" })
    }
}
