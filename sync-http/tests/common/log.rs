//! What the code under test logs, thread by thread.

use std::{cell::RefCell, io, sync::Once};

thread_local! {
    /// What this thread logged.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does the work and answers what it logged, at every level.
pub(crate) fn logged<T>(work: impl FnOnce() -> T) -> (T, String) {
    // one subscriber for all threads: with one for each, another thread may meet an event first and switch it off for good
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Log).finish();
        tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
    });
    LOG.take();
    let done = work();
    (done, String::from_utf8(LOG.take()).expect("text"))
}
