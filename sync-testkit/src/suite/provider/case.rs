//! One check's way to the provider: fresh worlds, whole reads, pages as text.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sync_core::{
    Cursor, Error, ErrorKind, Next, Operation, Partition, PartitionId, PullPage, PullRequest, Result, Services, Stream, SyncContext,
};

use super::{Setup, Subject, World, fixture::ProviderFixture};
use crate::{Canary, TestServices};

/// Records of an ordinary world.
pub(super) const RECORDS: usize = 7;

/// Pages after which a read is taken for endless.
const ENDLESS: usize = 10_000;

/// What every check is given.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) fixture: &'a dyn ProviderFixture,
    pub(super) subject: &'a Subject,
    /// The token of every world.
    pub(super) canary: &'a Canary,
    pub(super) facts: &'a Facts,
}

/// What the provider says about itself.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) descriptor: sync_core::Descriptor,
    /// The streams of an ordinary world.
    pub(super) streams: Vec<Stream>,
    pub(super) passthrough: bool,
    pub(super) campaigns: bool,
}

/// A fresh world with services to reach it.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    pub(super) subject: &'a Subject,
    pub(super) world: World,
    pub(super) services: TestServices,
    pub(super) cx: SyncContext,
}

/// Every page of a read.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) pages: Vec<(PullRequest, PullPage)>,
    /// The last cursor of each partition.
    pub(super) cursors: BTreeMap<PartitionId, Cursor>,
    /// Whether every partition ended complete.
    pub(super) complete: bool,
}

impl<'a> Case<'a> {
    pub(super) fn trial(&self) -> Trial<'a> {
        self.trial_with(RECORDS, |services| services)
    }

    pub(super) fn trial_of(&self, records: usize) -> Trial<'a> {
        self.trial_with(records, |services| services)
    }

    /// A world reached with other services than usual.
    pub(super) fn trial_with(&self, records: usize, adapt: impl FnOnce(TestServices) -> TestServices) -> Trial<'a> {
        let services = adapt(TestServices::new(7).with_token(self.canary.secret()));
        let setup = Setup { records, token: self.canary.secret().to_owned(), clock: services.clock().clone() };
        let world = self.fixture.world(&setup);
        let mut cx = services.context(self.subject.settings.clone());
        // Reads that meet every mishap in turn wait long; checks of the deadline set their own.
        cx.deadline = services.now() + Duration::from_secs(3_600);
        Trial { subject: self.subject, world, services, cx }
    }
}

impl Trial<'_> {
    /// The same world, a moment later, without the waits and counts so far mattering: an hour on the clock.
    pub(super) fn later(&mut self) {
        self.services.clock().advance(Duration::from_secs(3_600));
        self.cx.deadline = self.services.now() + Duration::from_secs(3_600);
    }

    pub(super) fn request(&self, partition: Partition) -> PullRequest {
        let mut request = PullRequest::new(self.subject.stream.clone(), partition, self.services.now());
        request.key = self.subject.key.clone().into();
        request
    }

    /// Reads every page of every partition.
    pub(super) async fn read(&self) -> Result<Scan> {
        self.read_from(&BTreeMap::new()).await
    }

    pub(super) async fn read_from(&self, cursors: &BTreeMap<PartitionId, Cursor>) -> Result<Scan> {
        let provider = &self.world.provider;
        let mut scan = Scan { complete: true, ..Scan::default() };
        for partition in provider.partitions(&self.cx, &self.subject.stream).await?.list {
            let mut request = self.request(partition);
            request.cursor = cursors.get(&request.partition.id).cloned();
            if let Some(cursor) = &request.cursor {
                scan.cursors.insert(request.partition.id.clone(), cursor.clone());
            }
            loop {
                let page = provider.pull(&self.cx, &request).await?;
                let asked = request.clone();
                if let Some(cursor) = &page.cursor {
                    scan.cursors.insert(request.partition.id.clone(), cursor.clone());
                }
                let next = page.next.clone();
                scan.pages.push((asked, page));
                match next {
                    Next::Page(token) => request.after = Some(token),
                    Next::NotReady { after, token } => {
                        self.services.sleep(after).await;
                        request.after = Some(token);
                    }
                    Next::End { complete } => {
                        scan.complete &= complete;
                        break;
                    }
                }
                if scan.pages.len() > ENDLESS {
                    return Err(Error::new(ErrorKind::Internal, "suite", format!("no end after {ENDLESS} pages")));
                }
            }
        }
        Ok(scan)
    }

    /// The ids at the service.
    pub(super) fn truth(&self) -> Vec<String> {
        self.world.service.records().into_keys().collect()
    }
}

impl Scan {
    /// The ids of all records that were said to be there, in the order they came.
    pub(super) fn ids(&self) -> Vec<String> {
        self.of(Operation::Upsert)
    }

    /// The ids of all records that were said to be gone.
    pub(super) fn gone(&self) -> Vec<String> {
        self.of(Operation::Delete)
    }

    /// The ids in order.
    pub(super) fn sorted(&self) -> Vec<String> {
        let mut ids = self.ids();
        ids.sort();
        ids
    }

    fn of(&self, operation: Operation) -> Vec<String> {
        let records = self.pages.iter().flat_map(|(_, page)| page.batch.records());
        records.filter(|record| record.operation == operation).map(|record| record.id.to_string()).collect()
    }
}

/// A page as text: equal texts are equal pages.
pub(super) fn shown(page: &PullPage) -> String {
    let names = page.batch.names();
    let records: Vec<_> = page
        .batch
        .records()
        .iter()
        .map(|record| {
            let cells: BTreeMap<&str, &str> = page.batch.cells(record).map(|(name, text)| (&*names[name], text)).collect();
            format!("{} {:?} {cells:?}", record.id, record.operation)
        })
        .collect();
    format!("{records:?} {:?} {} {} {:?} {:?}", page.failures, page.skipped, page.unseen, page.cursor, page.next)
}

/// How long a text may be in a finding.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 600;
    if text.len() <= LONGEST { text.to_owned() } else { format!("{}…", &text[..text.floor_char_boundary(LONGEST)]) }
}

/// A shared empty key.
pub(super) fn no_key() -> Arc<[Box<str>]> {
    Arc::default()
}
