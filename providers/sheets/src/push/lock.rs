//! One writer per spreadsheet in this process, whichever connections lead to it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::lock::{Mutex as Turn, OwnedMutexGuard};

/// Spreadsheets that are remembered while nobody writes them.
const REMEMBERED: usize = 1_024;

/// Whose turn it is, per spreadsheet.
#[derive(Debug, Default)]
pub(crate) struct Writers(Mutex<HashMap<Box<str>, Arc<Turn<Memory>>>>);

/// Where the key columns of a tab were last found, first and last: a guess that saves a call and is checked each time.
pub(crate) type Memory = HashMap<Box<str>, (usize, usize)>;

impl Writers {
    /// Waits until nobody else writes this spreadsheet.
    pub(crate) async fn turn(&self, spreadsheet: &str) -> OwnedMutexGuard<Memory> {
        let turn = self.of(spreadsheet);
        turn.lock_owned().await
    }

    /// The guess for a tab, without waiting.
    pub(super) fn guess(&self, spreadsheet: &str, tab: &str) -> Option<(usize, usize)> {
        self.of(spreadsheet).try_lock()?.get(tab).copied()
    }

    fn of(&self, spreadsheet: &str) -> Arc<Turn<Memory>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(spreadsheet) {
            return Arc::clone(turn);
        }
        if turns.len() >= REMEMBERED {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        let turn = Arc::default();
        turns.insert(spreadsheet.into(), Arc::clone(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_spreadsheet_has_one_writer_and_others_are_free() {
        let writers = Writers::default();
        let held = writers.turn("a").await;
        assert!(writers.of("a").try_lock().is_none());
        drop(writers.turn("b").await);
        drop(held);
        drop(writers.turn("a").await);
    }

    #[tokio::test]
    async fn what_nobody_writes_is_forgotten_and_who_waits_is_not() {
        let writers = Writers::default();
        let held = writers.turn("held").await;
        for n in 0..3 * REMEMBERED {
            drop(writers.turn(&n.to_string()).await);
            assert!(writers.0.lock().expect("whole").len() <= REMEMBERED);
        }
        assert!(writers.of("held").try_lock().is_none());
        drop(held);
    }
}
