//! What can be done wrong, and what the table of faults is written with.

use std::sync::Arc;

use serde_json::Value;
use syncline::core::{Counts, Error, Operation, RecordBatch, Target, mapping::FieldOwner, store::*};

/// One thing that is done wrong. Most change what is handed over, or what is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    Connect(fn(&mut NewConnection)),
    Connection(fn(&mut Connection)),
    Connections(fn(&mut Vec<Connection>)),
    Patch(fn(&mut ConnectionPatch)),
    /// The credentials that are replaced.
    Sealing(fn(&mut SealedCredentials)),
    Noting(fn(&mut Renewal)),
    Authorization(fn(&mut PendingAuthorization)),
    Client(fn(&mut StoredClient)),
    PutClient(fn(&mut Client)),
    FoundClient(fn(&mut Client)),
    Clients(fn(&mut Vec<Client>)),
    Onboarding(fn(&mut Onboarding)),
    NewConfig(fn(&mut NewConfig)),
    Versions(fn(&mut Vec<ConfigVersion>)),
    Begin(fn(&mut NewRun)),
    RunEnd(fn(&mut RunEnd)),
    Run(fn(&mut Run)),
    Runs(fn(&mut Vec<Run>)),
    Failures(fn(&mut Vec<syncline::core::RecordFailure>)),
    States(fn(&mut Vec<PartitionState>)),
    Look(fn(&mut Look)),
    Events(fn(&mut Vec<Event>)),
    Commit(fn(&mut PageCommit)),
    Report(fn(&mut CommitReport)),
    Preview(fn(&mut Preview)),
    Trial(fn(&mut Trial)),
    Plan(fn(&mut NewPlan, &mut Vec<PlanItem>)),
    Plans(fn(&mut Vec<Plan>)),
    Items(fn(&mut Vec<PlanItem>)),
    Settling(fn(&mut Settle)),
    RunRows(fn(&mut RunRows)),
    Histories(fn(&mut Vec<RowHistory>)),
    Recorded(fn(&mut RecordChanges)),
    Sweep(fn(&mut Sweep)),
    Query(fn(&mut EntityQuery)),
    Entities(fn(&mut Vec<Entity>)),
    Types(fn(&mut Vec<syncline::core::EntityType>)),
    Lineage(fn(&mut Vec<LineageEntry>)),
    Rules(fn(&mut Option<RunRules>)),
    ChangedQuery(fn(&mut ChangedQuery)),
    Changed(fn(&mut ChangedRows)),
    Links(fn(&mut Vec<Option<PushLink>>)),
    Keys(fn(&mut Vec<Option<Box<str>>>)),
    Memory(fn(&mut PushMemory)),
    IntentFilter(fn(&mut IntentFilter)),
    Journal(fn(&mut PushCommit)),
    References(fn(&mut Vec<ReferenceValue>)),
    Owners(fn(&mut Vec<(Box<str>, FieldOwner)>)),
    Conflicts(fn(&mut Vec<Conflict>)),
    ConflictFilter(fn(&mut ConflictFilter)),
    /// The decision.
    Deciding(fn(&mut SettleConflicts)),
    Activities(fn(&mut Vec<Activity>)),
    Due(fn(&mut Vec<DueRenewal>)),
    /// The time it is, and up to when tokens are looked for.
    DueTimes(fn(&mut chrono::DateTime<chrono::Utc>, &mut chrono::DateTime<chrono::Utc>)),
    Prune(fn(&mut Log, &mut chrono::DateTime<chrono::Utc>, &mut u32)),
    /// What lineage is said to have in the place of values.
    Hidden(fn(&mut Vec<Box<str>>)),
    Erased(fn(&mut ErasedEntity)),
    ErasesNothing,
    ErasesBlindly,
    /// Another error than the one it is.
    Refusal(fn(Error) -> Error),
    /// This method goes to another workspace.
    Leaks(&'static str),
    /// This method takes any fence for one that holds.
    IgnoresFence(&'static str),
    /// Every run has the same token.
    OneToken,
    NeverBusy,
    EndsTwice,
    SwapsBlindly,
    AccountsOfAnyProvider,
    DropsCredentials,
    TakesForeignSeals,
    HealsWhatItRefuses,
    NotesBlindly,
    /// Retired keys go on sealing.
    RetiresInWords,
    KeepsRenewals,
    /// Of any grant before.
    KeepsScopes,
    RefusesRepeats,
    ForgetsUses,
    PagesFromTheBeginning,
    RenewsPausedOnes,
    DisconnectsSoftly,
    StaysDisconnected,
    ResumesPaused,
    LeavesDisconnected,
    TellsNobodyItIsGone,
    TellsWhateverTheStatus,
    TellsWhateverTheVersion,
    KeepsErrors,
    HealsAnything,
    LogsSecrets,
    OverwritesNonces,
    HandsOutAgain,
    ForgetsNoAuthorization,
    KeepsFirstClient,
    TakesAccounts,
    HalfPuts,
    LinksAlone,
    AddsAccounts,
    ClientsOfAnyProvider,
    RemovesNoClient,
    WritesDownWhoAsked,
    BeginsAgain,
    HealsAnew,
    TellsNothing,
    TellsAlways,
    PutsBlindly,
    FindsTheLatest,
    SettlesBlindly,
    NoPlace,
    SaysNobody,
    LeasesToAnybody,
    LeasesForEver,
    ProlongsNothing,
    ReleasesForAnybody,
    ReleasesNothing,
    HandlesShareNothing,
    OwnersNeverEnd,
    NeverReaps,
    /// Forgets cursors with every pruning.
    PrunesPositions,
    ResetsNothing,
    /// A feed without a look has that of the stream's own.
    LooksOfAnyFeed,
    RefusesNothing,
    CursorsWithoutRows,
    MixesKeys,
    ForgetsConfirmations,
    ReplacesRows,
    PreviewsCommit,
    NeverForgetsReferences,
    DecidesBlindly,
    NeverSweeps,
    SweepsAgain,
    ScansEndWithRuns,
    RegistersBlindly,
    LineageOfWholeRows,
    PushesMore,
    LinksOfAnyFeed,
    AlwaysAgrees,
    KeepsDeadLinks,
    KeepsFirstIntents,
    /// Writes what belongs to the run although the rest is refused.
    HalfJournals,
}

/// A record under change: its id and its operation.
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) operation: Operation,
}

/// Makes the records of a page anew; those that `change` does not want are left out.
pub(crate) fn rebuild(page: &mut PageCommit, mut change: impl FnMut(&mut Head, &mut Vec<(String, String)>) -> bool) {
    for part in &mut page.batches {
        let mut batch = RecordBatch::default();
        for record in part.batch.records() {
            let named = part.batch.cells(record).map(|(name, json)| (part.batch.names()[name].to_string(), json.to_owned()));
            let mut cells: Vec<(String, String)> = named.collect();
            let mut head = Head { id: record.id.to_string(), operation: record.operation };
            if !change(&mut head, &mut cells) {
                continue;
            }
            let cells: Vec<(usize, String)> = cells.into_iter().map(|(name, json)| (batch.name(&name), json)).collect();
            let mut draft = batch.record();
            for (name, json) in &cells {
                draft.made(*name, json);
            }
            draft.finish(head.id, head.operation, record.position);
        }
        part.batch = batch;
    }
}

/// The target of a page, to be changed.
pub(crate) fn target(page: &mut PageCommit) -> &mut Target {
    Arc::make_mut(&mut page.target)
}

/// Changes the values of rows.
pub(crate) fn values(rows: &mut [Entity], change: fn(&mut Value)) {
    for row in rows {
        row.fields.values_mut().for_each(change);
    }
}

pub(crate) fn no_steps(fence: Fence, feed: Feed, at: chrono::DateTime<chrono::Utc>) -> PushCommit {
    let (begun, settled, failures, events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    PushCommit { fence, feed, begun, settled, counts: Counts::default(), failures, events, memory: None, at }
}
