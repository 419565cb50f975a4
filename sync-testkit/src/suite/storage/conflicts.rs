//! What is kept beside fields: reference values, and what loses to a source of higher priority.

use std::sync::Arc;

use serde_json::{Value, json};
use sync_core::{
    FieldRule, Target, WriteMode,
    mapping::{Authority, ConflictState, FieldOwner, FieldSource, Rule},
    store::{Change, Conflict, ConflictFilter, Conflicts, Expected, PageCommit, SettleConflicts, WorkspaceStore},
};

use super::{
    Check,
    check::{Looked, refused, there},
    scene::{Pull, Scene, at, begin, gone, mapped, people, rules, six, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(a_reference_is_kept_beside_the_field, "What a reference says is kept beside the field, written anew only when it changes", needs Conflicts),
    check!(a_reference_may_come_before_its_row, "What a reference says of a row that is not there makes no row, and is not lost", needs Conflicts),
    check!(a_reference_goes_with_what_stands_behind_it, "A reference value goes with its record, or with its entity", needs Conflicts),
    check!(what_loses_is_a_conflict_in_any_order, "What loses to higher priority is the same conflict in whatever order sources come", needs Conflicts),
    check!(a_conflict_follows_both_values, "A conflict follows both values, and is settled when they agree or the losing record is gone", needs Conflicts),
    check!(a_decision_is_about_what_was_seen, "A decision about a conflict is taken if its loser says still what was seen", needs Conflicts),
    check!(one_decision_for_all_alike, "One decision may be about all open conflicts of a field that a source loses", needs Conflicts),
    check!(an_accepted_conflict_opens_with_its_loser, "An accepted conflict opens again only when the losing value changes", needs Conflicts),
    check!(a_taken_value_stays_until_the_winner_changes, "A value that was taken is overwritten by what the winner says next, not by what it said before", needs Conflicts),
    check!(conflicts_are_found_by_what_is_asked, "Conflicts are listed by entity, field, loser and state, page by page", needs Conflicts),
    check!(nothing_stays_beside_of_what_was_not_committed, "A preview, and a commit that is refused, keep nothing beside fields", needs Conflicts),
    check!(what_is_beside_belongs_to_a_workspace, "What is beside fields is seen and decided about in its own workspace alone, and erased with it", needs Conflicts),
    check!(owners_of_fields_are_told, "Who has the say about a field is told with its priority, in its own workspace alone", needs Conflicts),
    check!(derived_is_not_written_by_hand_either, "A derived field is not written by a commit by hand either", needs Conflicts),
];

const TRUTH: Authority = Authority::SourceOfTruth;

fn rule(authority: Authority, priority: i32) -> FieldRule {
    FieldRule { authority, priority }
}

async fn source(scene: &Scene, connection: &str, rule: FieldRule) -> Result<Pull, Finding> {
    scene.begin(&mapped(connection), &Target { rules: rules(&[("name", rule)]), ..people() }).await
}

fn named(email: &str, name: impl Into<Value>) -> Value {
    json!({"email": email, "name": name.into()})
}

/// The reference values of an entity: field, connection, value.
async fn beside(store: &dyn WorkspaceStore, key: &str) -> Result<Vec<(String, String, String)>, Finding> {
    let values = store.reference_values(&"people".into(), key).await?;
    Ok(values.into_iter().map(|kept| (kept.field.into(), kept.source.connection.to_string(), kept.value.get().to_owned())).collect())
}

fn kept(connection: &str, value: &str) -> (String, String, String) {
    ("name".into(), connection.into(), value.into())
}

async fn conflicts(store: &dyn WorkspaceStore) -> Result<Vec<Conflict>, Finding> {
    Ok(store.conflicts(ConflictFilter { state: None, ..ConflictFilter::default() }).await?)
}

async fn only_one(store: &dyn WorkspaceStore) -> Result<Conflict, Finding> {
    let all = conflicts(store).await?;
    same!(all.len(), 1, "conflicts, however they stand");
    there(all.into_iter().next(), "the conflict")
}

/// Who loses, what it says, who wins, what it says.
fn told(conflict: &Conflict) -> [String; 4] {
    let winner = conflict.winner.as_ref().map_or_else(String::new, |winner| winner.connection.to_string());
    [conflict.loser.connection.to_string(), conflict.value.get().into(), winner, conflict.winning.get().into()]
}

fn decision(conflict: &Conflict, state: ConflictState) -> SettleConflicts {
    let which = Conflicts::Each(vec![(conflict.id, conflict.value.get().into())]);
    SettleConflicts { which, state, by: "anna".into(), run: None, at: at(30) }
}

/// `high` says "High", `low` says "Low".
async fn two(scene: &Scene) -> Result<[Pull; 2], Finding> {
    let (high, low) = (source(scene, "high", rule(TRUTH, 9)).await?, source(scene, "low", rule(TRUTH, 1)).await?);
    high.commit(&[up("h", named("a", "High"))]).await?;
    same!(low.counts(&[up("l", named("a", "Low"))]).await?, [0, 0, 1, 0, 0, 0], "what loses changes nothing");
    Ok([high, low])
}

async fn a_reference_is_kept_beside_the_field(scene: Scene) -> Looked {
    let (truth, beside_it) = (source(&scene, "truth", rule(TRUTH, 0)).await?, source(&scene, "ref", rule(Authority::Reference, 0)).await?);
    truth.commit(&[up("t", named("a", "Ann"))]).await?;
    same!(beside_it.counts(&[up("r", named("a", "Other"))]).await?, [0, 0, 1, 0, 0, 0], "a reference changes nothing");
    same!(beside(&*truth.store, "a").await?, [kept("ref", "\"Other\"")], "what is kept");
    let first = truth.store.reference_values(&"people".into(), "a").await?.remove(0);
    same!((first.run, first.at), (beside_it.fence.run, at(1)), "the run that brought it, and when");
    let later = |name: Value| PageCommit { at: at(5), ..beside_it.rows_page(&[up("r", named("a", name))]) };
    beside_it.store.commit(later("Other".into())).await?;
    same!(truth.store.reference_values(&"people".into(), "a").await?[0].at, at(1), "when an equal value came first");
    beside_it.store.commit(later("Changed".into())).await?;
    same!(truth.store.reference_values(&"people".into(), "a").await?[0].at, at(5), "when another value came");
    beside_it.commit(&[up("r", json!({"email": "a"}))]).await?;
    same!(beside(&*truth.store, "a").await?, [kept("ref", "\"Changed\"")], "after a record without the field");
    beside_it.commit(&[up("r", named("a", Value::Null))]).await?;
    same!(beside(&*truth.store, "a").await?, [kept("ref", "null")], "a null");
    truth.commit(&[up("t", named("a", "Bea"))]).await?;
    same!(truth.row("a").await?["name"], json!("Bea"), "the field itself");
    same!(beside(&*truth.store, "a").await?, [kept("ref", "null")], "after the field changed");
    same!(conflicts(&*truth.store).await?.len(), 0, "conflicts with a reference");
    Ok(())
}

async fn a_reference_may_come_before_its_row(scene: Scene) -> Looked {
    let rules = rules(&[("email", rule(Authority::Reference, 0)), ("name", rule(Authority::Reference, 0))]);
    let early = scene.begin(&mapped("ref"), &Target { rules, ..people() }).await?;
    let done = early.scan("", 1, &[up("r", named("a", "Early"))]).await?;
    same!(six(&done.counts), [0, 0, 0, 1, 0, 0], "a reference without its row");
    same!(done.failures.len(), 1, "warnings");
    same!(early.table().await?.len(), 0, "rows");
    let truth = source(&scene, "truth", rule(TRUTH, 0)).await?;
    truth.commit(&[up("t", named("a", "Ann"))]).await?;
    same!(beside(&*truth.store, "a").await?, [kept("ref", "\"Early\"")], "what came before the row");
    same!(truth.row("a").await?["name"], json!("Ann"), "the field");
    early.scan("", 2, &[]).await?;
    same!(early.sweep(&[("", 2)]).await?.deleted, 1, "records swept");
    same!(beside(&*truth.store, "a").await?, [], "after the record went");
    same!(truth.row("a").await?["name"], json!("Ann"), "the row that another record stands behind");
    Ok(())
}

async fn a_reference_goes_with_what_stands_behind_it(scene: Scene) -> Looked {
    let (truth, beside_it) = (source(&scene, "truth", rule(TRUTH, 0)).await?, source(&scene, "ref", rule(Authority::Reference, 0)).await?);
    truth.commit(&["a", "b", "c"].map(|key| up(key, named(key, "Ann")))).await?;
    beside_it
        .scan("", 1, &[up("ra", named("a", "1")), up("rb", named("b", "2")), up("rb2", named("b", "3")), up("rc", named("c", "4"))])
        .await?;
    beside_it.commit(&[gone("ra"), gone("rb")]).await?;
    same!(beside(&*truth.store, "a").await?, [], "after its record was deleted");
    same!(beside(&*truth.store, "b").await?, [kept("ref", "\"3\"")], "while another record stands behind it");
    beside_it.scan("", 2, &[up("rb2", named("b", "3"))]).await?;
    beside_it.sweep(&[("", 2)]).await?;
    same!(beside(&*truth.store, "b").await?, [kept("ref", "\"3\"")], "of a record that a scan showed");
    same!(beside(&*truth.store, "c").await?, [], "after its record was swept");
    let by_hand = Target { mode: WriteMode::ByHand, ..people() };
    let hand = scene.begin(&mapped("hand"), &by_hand).await?;
    same!(hand.counts(&[gone("b")]).await?, [0, 0, 0, 0, 0, 1], "an entity deleted by hand");
    same!(beside(&*truth.store, "b").await?, [], "after its entity went");
    Ok(())
}

async fn what_loses_is_a_conflict_in_any_order(scene: Scene) -> Looked {
    let sources = [
        source(&scene, "low", rule(TRUTH, 1)).await?,
        source(&scene, "middle", rule(TRUTH, 5)).await?,
        source(&scene, "high", rule(TRUTH, 9)).await?,
    ];
    // What low and middle say; high says "H".
    for (said, [low, middle]) in [["L", "M"], ["M", "M"], ["H", "M"], ["L", "H"]].into_iter().enumerate() {
        let mut open = Vec::new();
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let key = format!("{said}{order:?}");
            for at in order {
                sources[at].commit(&[up(&key, named(&key, [low, middle, "H"][at]))]).await?;
            }
            let filter = ConflictFilter { key: Some(key.into()), ..ConflictFilter::default() };
            let mut found: Vec<_> = sources[0].store.conflicts(filter).await?.iter().map(told).collect();
            found.sort();
            open.push(found);
        }
        let expected = [["low", low], ["middle", middle]].into_iter().filter(|[_, value]| *value != "H");
        let expected: Vec<_> = expected.map(|[name, value]| [name.into(), format!("\"{value}\""), "high".into(), "\"H\"".into()]).collect();
        for found in open {
            same!(found, expected, "open conflicts where low says {low} and middle {middle}");
        }
    }
    Ok(())
}

async fn a_conflict_follows_both_values(scene: Scene) -> Looked {
    let [high, low] = two(&scene).await?;
    let conflict = only_one(&*high.store).await?;
    same!(told(&conflict), ["low", "\"Low\"", "high", "\"High\""].map(String::from), "the conflict");
    same!((conflict.priority, conflict.winner_priority, conflict.rule), (1, 9, Rule::LowerPriority), "priorities and rule");
    same!((conflict.run, conflict.since, conflict.state), (low.fence.run, at(1), ConflictState::Open), "run, time and state");
    same!((conflict.entity_type.as_str(), &*conflict.entity, &*conflict.field), ("people", "a", "name"), "what it is about");
    same!((conflict.loser.stream.as_str(), &*conflict.loser.mapping), ("s", "m"), "the feed that loses");
    low.store.commit(PageCommit { at: at(4), ..low.rows_page(&[up("l", named("a", "Low"))]) }).await?;
    same!(only_one(&*high.store).await?.at, at(1), "when it last changed, after nothing new");
    low.store.commit(PageCommit { at: at(5), ..low.rows_page(&[up("l", named("a", "Lower"))]) }).await?;
    high.commit(&[up("h", named("a", "Higher"))]).await?;
    same!(told(&only_one(&*high.store).await?), ["low", "\"Lower\"", "high", "\"Higher\""].map(String::from), "after both changed");
    low.commit(&[up("l", named("a", "Higher"))]).await?;
    same!(only_one(&*high.store).await?.state, ConflictState::Settled, "when the loser agrees");
    high.commit(&[up("h", named("a", "Highest"))]).await?;
    let again = only_one(&*high.store).await?;
    same!((again.id, again.state), (conflict.id, ConflictState::Open), "when they differ again");
    low.commit(&[up("l2", named("a", "Low"))]).await?;
    low.commit(&[gone("l")]).await?;
    same!(only_one(&*high.store).await?.state, ConflictState::Open, "while another losing record stands behind the entity");
    low.commit(&[gone("l2")]).await?;
    same!(only_one(&*high.store).await?.state, ConflictState::Settled, "when the losing record is gone");
    high.commit(&[up("h", named("a", "New"))]).await?;
    same!(only_one(&*high.store).await?.state, ConflictState::Settled, "when the winner alone says something new");
    high.commit(&[gone("h")]).await?;
    same!(conflicts(&*high.store).await?.len(), 0, "conflicts of an entity that went");
    Ok(())
}

async fn a_decision_is_about_what_was_seen(scene: Scene) -> Looked {
    let [high, low] = two(&scene).await?;
    let seen = only_one(&*high.store).await?;
    low.commit(&[up("l", named("a", "Lower"))]).await?;
    same!(high.store.settle_conflicts(decision(&seen, ConflictState::Accepted)).await?, 0, "decisions about what is said no more");
    let seen = only_one(&*high.store).await?;
    same!(seen.state, ConflictState::Open, "the state after it");
    same!(high.store.settle_conflicts(decision(&seen, ConflictState::Accepted)).await?, 1, "decisions about what is said");
    let done = only_one(&*high.store).await?;
    let expected = (ConflictState::Accepted, Some("anna"), Some(at(30)));
    same!((done.state, done.resolved_by.as_deref(), done.resolved_at), expected, "who decided, and when");
    low.commit(&[up("l", named("a", "High"))]).await?;
    let seen = only_one(&*high.store).await?;
    same!(high.store.settle_conflicts(decision(&seen, ConflictState::Accepted)).await?, 0, "decisions about what is settled");
    Ok(())
}

async fn one_decision_for_all_alike(scene: Scene) -> Looked {
    let [high, low] = two(&scene).await?;
    let other = source(&scene, "other", rule(TRUTH, 5)).await?;
    high.commit(&["b", "c"].map(|key| up(key, named(key, "High")))).await?;
    low.commit(&["b", "c"].map(|key| up(key, named(key, "Low")))).await?;
    other.commit(&[up("b", named("b", "Other"))]).await?;
    let which = Conflicts::Alike {
        entity_type: "people".into(),
        field: "name".into(),
        loser: FieldSource { connection: "low".into(), mapping: "m".into() },
    };
    let settle = SettleConflicts { which, state: ConflictState::Accepted, by: "ben".into(), run: None, at: at(31) };
    same!(high.store.settle_conflicts(settle.clone()).await?, 3, "conflicts that one decision is about");
    same!(high.store.settle_conflicts(settle).await?, 0, "conflicts that are open after it");
    let open = high.store.conflicts(ConflictFilter::default()).await?;
    same!(open.iter().map(told).collect::<Vec<_>>(), [["other", "\"Other\"", "high", "\"High\""].map(String::from)], "what stays open");
    Ok(())
}

async fn an_accepted_conflict_opens_with_its_loser(scene: Scene) -> Looked {
    let [high, low] = two(&scene).await?;
    let seen = only_one(&*high.store).await?;
    high.store.settle_conflicts(decision(&seen, ConflictState::Accepted)).await?;
    low.commit(&[up("l", named("a", "Low"))]).await?;
    same!(only_one(&*high.store).await?.state, ConflictState::Accepted, "after the same was said again");
    high.commit(&[up("h", named("a", "Higher"))]).await?;
    let after = only_one(&*high.store).await?;
    same!((after.state, after.winning.get()), (ConflictState::Accepted, "\"Higher\""), "after the winner changed");
    same!(after.resolved_by.as_deref(), Some("anna"), "who accepted it");
    low.commit(&[up("l", named("a", "Lower"))]).await?;
    let after = only_one(&*high.store).await?;
    same!((after.state, after.resolved_by), (ConflictState::Open, None), "after the loser changed");
    Ok(())
}

/// Writes what loses, by hand, and says so.
async fn take(scene: &Scene, seen: &Conflict) -> Result<(), Finding> {
    let hand = scene.begin(&mapped("hand"), &Target { mode: WriteMode::ByHand, ..people() }).await?;
    let value: Value = serde_json::from_str(seen.value.get()).map_err(|_| super::check::broken("a value that is not JSON"))?;
    same!(hand.counts(&[up(&seen.entity, json!({"name": value}))]).await?, [0, 1, 0, 0, 0, 0], "the losing value written by hand");
    same!(hand.store.settle_conflicts(decision(seen, ConflictState::Taken)).await?, 1, "decisions");
    hand.end().await?;
    Ok(())
}

async fn a_taken_value_stays_until_the_winner_changes(scene: Scene) -> Looked {
    let [high, low] = two(&scene).await?;
    let seen = only_one(&*high.store).await?;
    take(&scene, &seen).await?;
    same!(high.counts(&[up("h", named("a", "High"))]).await?, [0, 0, 1, 0, 0, 0], "the winner says what it said before");
    same!(low.counts(&[up("l", named("a", "Low"))]).await?, [0, 0, 1, 0, 0, 0], "the loser, too");
    same!(high.row("a").await?["name"], json!("Low"), "the value that was taken");
    same!(only_one(&*high.store).await?.state, ConflictState::Taken, "the conflict");
    same!(high.counts(&[up("h", named("a", "Higher"))]).await?, [0, 1, 0, 0, 0, 0], "the winner says something new");
    let after = only_one(&*high.store).await?;
    same!((after.state, after.winning.get()), (ConflictState::Open, "\"Higher\""), "the conflict after it");
    take(&scene, &after).await?;
    low.commit(&[up("l", named("a", "Lower"))]).await?;
    same!(only_one(&*high.store).await?.state, ConflictState::Open, "after the loser changed");
    same!(high.counts(&[up("h", named("a", "Higher"))]).await?, [0, 1, 0, 0, 0, 0], "what was decided is about another value");
    Ok(())
}

async fn conflicts_are_found_by_what_is_asked(scene: Scene) -> Looked {
    let [high, low] = two(&scene).await?;
    high.commit(&["b", "c"].map(|key| up(key, named(key, "High")))).await?;
    low.commit(&[up("b", named("b", "Low")), up("c", named("c", "High"))]).await?;
    let store = &*high.store;
    let found = async |filter: ConflictFilter| -> Result<Vec<String>, Finding> {
        Ok(store.conflicts(filter).await?.into_iter().map(|conflict| conflict.entity.into()).collect())
    };
    let open = ConflictFilter::default;
    let loser = |connection: &str| Some(FieldSource { connection: connection.into(), mapping: "m".into() });
    same!(found(open()).await?, ["a", "b"], "open conflicts");
    same!(found(ConflictFilter { state: Some(ConflictState::Settled), ..open() }).await?, ["c"], "settled ones");
    same!(found(ConflictFilter { state: None, ..open() }).await?, ["a", "b", "c"], "all of them");
    same!(found(ConflictFilter { key: Some("b".into()), ..open() }).await?, ["b"], "of an entity");
    same!(
        found(ConflictFilter { entity_type: Some("people".into()), field: Some("name".into()), ..open() }).await?,
        ["a", "b"],
        "of a field"
    );
    same!(found(ConflictFilter { field: Some("email".into()), ..open() }).await?.len(), 0, "of another field");
    same!(found(ConflictFilter { entity_type: Some("others".into()), ..open() }).await?.len(), 0, "of another entity type");
    same!(found(ConflictFilter { loser: loser("low"), mapping: Some("m".into()), ..open() }).await?, ["a", "b"], "of a loser");
    same!(found(ConflictFilter { loser: loser("high"), ..open() }).await?.len(), 0, "of the winner");
    same!(found(ConflictFilter { mapping: Some("other".into()), ..open() }).await?.len(), 0, "of another mapping");
    let first = store.conflicts(ConflictFilter { limit: 1, ..open() }).await?;
    same!(first.len(), 1, "a page of one");
    same!(found(ConflictFilter { after: Some(first[0].id), ..open() }).await?, ["b"], "the page behind it");
    same!(found(ConflictFilter { id: Some(first[0].id), ..open() }).await?, ["a"], "by its number");
    Ok(())
}

async fn nothing_stays_beside_of_what_was_not_committed(scene: Scene) -> Looked {
    let high = source(&scene, "high", rule(TRUTH, 9)).await?;
    high.commit(&[up("h", named("a", "High"))]).await?;
    let both = rules(&[("name", rule(TRUTH, 1)), ("city", rule(Authority::Reference, 0))]);
    let low = scene.begin(&mapped("low"), &Target { rules: both, ..people() }).await?;
    let page = || low.rows_page(&[up("l", json!({"email": "a", "name": "Low", "city": "Rome", "age": 7}))]);
    low.store.preview(page().into()).await?;
    let nothing = async |when: &str| -> Looked {
        same!(beside(&*high.store, "a").await?, [], "reference values after {when}");
        same!(conflicts(&*high.store).await?.len(), 0, "conflicts after {when}");
        Ok(())
    };
    nothing("a preview").await?;
    let other =
        Change { entity: "a".into(), field: "age".into(), old: Some("null".into()), new: Some("8".into()), rule: Rule::SourceOfTruth };
    let moved = low.store.commit(PageCommit { expects: Some(Arc::new(Expected::of([&other]))), ..page() }).await?;
    same!(moved.moved.len(), 1, "rows that a commit found otherwise than expected");
    nothing("a commit that took itself back").await?;
    let fence = sync_core::store::Fence { token: low.fence.token + 1, ..low.fence };
    refused(low.store.commit(PageCommit { fence, ..page() }).await, sync_core::ErrorKind::LeaseLost, "a commit of somebody else")?;
    nothing("a commit that was refused").await?;
    low.store.commit(page()).await?;
    same!(beside(&*high.store, "a").await?.len() + conflicts(&*high.store).await?.len(), 2, "what is beside after the commit");
    Ok(())
}

async fn what_is_beside_belongs_to_a_workspace(scene: Scene) -> Looked {
    let [high, low] = two(&scene).await?;
    let beside_it = source(&scene, "ref", rule(Authority::Reference, 0)).await?;
    beside_it.commit(&[up("r", named("a", "Other"))]).await?;
    let theirs = begin(scene.globex(), &mapped("low"), &Target { rules: rules(&[("name", rule(TRUTH, 1))]), ..people() }).await?;
    theirs.commit(&[up("l", named("a", "Low"))]).await?;
    same!(conflicts(&*scene.globex()).await?.len(), 0, "conflicts of another workspace");
    same!(beside(&*scene.globex(), "a").await?, [], "reference values of another workspace");
    let seen = only_one(&*high.store).await?;
    same!(scene.globex().settle_conflicts(decision(&seen, ConflictState::Accepted)).await?, 0, "decisions of another workspace");
    same!(only_one(&*high.store).await?.state, ConflictState::Open, "the conflict");
    for run in [&high, &low, &beside_it] {
        run.end().await?;
    }
    scene.storage.fleet().erase(&"acme".into()).await?;
    same!(conflicts(&*scene.acme()).await?.len(), 0, "conflicts of a workspace that was erased");
    same!(beside(&*scene.acme(), "a").await?, [], "reference values of a workspace that was erased");
    Ok(())
}

async fn owners_of_fields_are_told(scene: Scene) -> Looked {
    let low = source(&scene, "low", rule(TRUTH, 1)).await?;
    low.commit(&[up("l", named("a", "Same")), up("m", named("b", "Other"))]).await?;
    let of = async |store: &dyn WorkspaceStore, key: &str| store.field_owners(&"people".into(), key).await;
    let owner = |connection: &str, priority: i32| {
        let source = FieldSource { connection: connection.into(), mapping: "m".into() };
        (Box::<str>::from("name"), FieldOwner { source, priority })
    };
    let name = |owners: Vec<(Box<str>, FieldOwner)>| owners.into_iter().filter(|(field, _)| **field == *"name").collect::<Vec<_>>();
    same!(name(of(&*low.store, "a").await?), [owner("low", 1)], "the source that set it");
    source(&scene, "high", rule(TRUTH, 9)).await?.commit(&[up("h", named("a", "Same"))]).await?;
    same!(name(of(&*low.store, "a").await?), [owner("high", 9)], "a higher one that says the same");
    same!(name(of(&*low.store, "b").await?), [owner("low", 1)], "of another row");
    same!(of(&*low.store, "nobody").await?, [], "of a row that is not there");
    same!(of(&*scene.globex(), "a").await?, [], "in another workspace");
    Ok(())
}

async fn derived_is_not_written_by_hand_either(scene: Scene) -> Looked {
    let rules = rules(&[("score", rule(Authority::Derived, 0))]);
    let truth = scene.begin(&mapped("truth"), &Target { rules: Arc::clone(&rules), ..people() }).await?;
    truth.commit(&[up("t", json!({"email": "a", "name": "Ann", "score": 1}))]).await?;
    let hand = scene.begin(&mapped("hand"), &Target { mode: WriteMode::ByHand, rules, ..people() }).await?;
    same!(hand.counts(&[up("a", json!({"score": 2, "name": "Bea"}))]).await?, [0, 1, 0, 0, 0, 0], "a commit by hand");
    let row = hand.row("a").await?;
    same!((&row["name"], row.get("score").is_none_or(Value::is_null)), (&json!("Bea"), true), "what it wrote");
    Ok(())
}
