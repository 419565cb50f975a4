//! What a stream of the service holds: read for a mirror, and for plans that tell what a write replaces.

use std::collections::{HashMap, HashSet};

use sync_core::{Error, ErrorKind, Next, Operation, PullRequest, RecordId, Result, Severity, policy::LoopGuard};

use super::{courier::Courier, rows::object};

/// Fields of records that are held at once, in bytes.
const HELD: usize = 512 << 20;

/// Of which records the fields are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep<'k> {
    Nothing,
    All,
    These(&'k HashSet<RecordId>),
}

/// The records there are, with the fields of those that were asked for, as JSON objects.
#[derive(Debug, Default)]
pub(crate) struct There {
    pub(crate) records: HashMap<RecordId, Option<Box<str>>>,
    /// Whether what is not among them is not there.
    pub(crate) complete: bool,
}

/// Reads a stream from its beginning to its end.
pub(crate) async fn read(courier: &Courier, keep: Keep<'_>) -> Result<There> {
    let (mut records, mut held) = (HashMap::new(), 0);
    let partitions = courier.provider.partitions(&courier.fresh(), &courier.stream).await?;
    let mut complete = partitions.complete;
    for partition in partitions.list {
        let mut request = PullRequest::new(courier.stream.clone(), partition, courier.cx.services.now());
        request.key = std::sync::Arc::clone(&courier.key);
        let mut guard = LoopGuard::default();
        loop {
            let page = courier.provider.pull(&courier.fresh(), &request).await?;
            guard.check(&page.next, usize::try_from(page.read()).unwrap_or(usize::MAX))?;
            complete &= !page.unseen && page.failures.iter().all(|failure| failure.severity != Severity::Error);
            for record in page.batch.records() {
                if record.operation == Operation::Delete {
                    records.remove(&record.id);
                    continue;
                }
                let kept = match keep {
                    Keep::Nothing => false,
                    Keep::All => true,
                    Keep::These(ids) => ids.contains(&record.id),
                };
                let fields = kept.then(|| object(&page.batch, record));
                held += fields.as_ref().map_or(0, |fields| fields.len());
                records.insert(record.id.clone(), fields);
            }
            if held > HELD {
                let text = format!("this plan would hold more than {} MiB of records; plan a part of them, by their keys", HELD >> 20);
                return Err(Error::new(ErrorKind::Config, "push", text));
            }
            match page.next {
                Next::End { complete: all } => {
                    complete &= all;
                    break;
                }
                Next::Page(token) => request.after = Some(token),
                Next::NotReady { after, token } => {
                    request.after = Some(token);
                    courier.cx.services.sleep(after).await;
                }
            }
        }
    }
    Ok(There { records, complete })
}
