//! Writes that failed earlier and that the rows of this run did not come to.

use std::collections::HashSet;

use sync_core::{
    Earlier, Operation, Result,
    store::{Feed, Intent, IntentFilter, IntentState, Settled},
};

use super::{courier::Courier, feeder::Feeder, item::Item};

/// Intents read together.
const PAGE: u32 = 200;

/// Which failed writes are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Those that are due. A row the run would have come to is as it was accepted, or gone: its write is over.
    DueOfTable {
        /// Whether the run looked at every row.
        whole: bool,
    },
    /// Those that are due, as they were sent.
    Due,
    /// All of them, as they were sent.
    All,
}

/// Hands over what failed before this run.
pub(crate) async fn leftovers(courier: &Courier, feeder: &mut Feeder<'_>, again: Again, only: Option<&HashSet<Box<str>>>) -> Result<()> {
    let mut after: Option<(Feed, Box<str>)> = None;
    loop {
        let states = vec![IntentState::Failed];
        let filter = IntentFilter { feed: Some(courier.feed.clone()), states, after, limit: PAGE, ..IntentFilter::default() };
        let found = courier.store.intents(filter).await?;
        let full = found.len() as u32 >= PAGE;
        after = found.last().map(|(feed, intent)| (feed.clone(), intent.key.clone()));
        for (_, intent) in found {
            let ours = intent.run != courier.fence.run && !feeder.met.contains(&intent.key);
            if !ours || only.is_some_and(|only| !only.contains(&intent.key)) || !feeder.lets(&intent) {
                continue;
            }
            let due = intent.next_at.is_some_and(|due| due <= courier.cx.services.now());
            let open = match (again, intent.operation) {
                (Again::DueOfTable { whole: true }, Operation::Upsert) => {
                    feeder.settle(Settled::Dropped { key: intent.key });
                    true
                }
                (Again::DueOfTable { whole: false }, Operation::Upsert) => true,
                (Again::DueOfTable { .. } | Again::Due, _) => !due || feeder.add(once_more(intent)).await,
                (Again::All, _) => feeder.add(once_more(intent)).await,
            };
            if !open {
                return Ok(());
            }
        }
        if !full {
            return Ok(());
        }
    }
}

fn once_more(intent: Intent) -> Item {
    Item::again(intent, Earlier::Never)
}
