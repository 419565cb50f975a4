//! Cursors, page tokens and events: what moves with the rows.

use serde_json::json;
use sync_core::{
    Cursor, ErrorKind, PageToken,
    store::{CursorMove, Fence, PageCommit, PartitionState, RunEnd, RunStatus},
};

use super::{
    Check,
    check::{Looked, refused},
    scene::{Pull, Scene, at, ending, feed, mapped, moved, people, plain, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(cursors_move_with_their_rows, "A commit moves the cursors it names, exactly, and no others"),
    check!(cursors_stay_without_their_rows, "A commit that is refused moves no cursor"),
    check!(a_move_without_cursor_keeps_it, "A position without a cursor keeps the stored one and clears the page token"),
    check!(page_tokens_are_kept_with_their_end, "A page token is kept to the letter, with the time it ends and the scan it belongs to"),
    check!(feeds_have_positions_of_their_own, "Feeds of one stream have cursors of their own"),
    check!(resetting_forgets_positions_alone, "Resetting forgets the cursors of one feed; rows and other feeds stay"),
    check!(gone_partitions_are_marked, "A partition that is gone keeps its cursor and is marked until it comes back"),
    check!(events_are_replayed_in_order, "Events are kept with their run and answered in order after a sequence number, which only grows"),
];

async fn states(run: &Pull) -> Result<Vec<PartitionState>, Finding> {
    let mut states = run.store.partition_states(&run.feed).await?;
    states.sort_by(|one, other| one.partition.cmp(&other.partition));
    Ok(states)
}

async fn go(run: &Pull, cursors: Vec<CursorMove>) -> Looked {
    run.store.commit(PageCommit { cursors, ..run.page(Vec::new()) }).await?;
    Ok(())
}

fn state(partition: &str, text: &str, scan: u64) -> PartitionState {
    PartitionState { partition: partition.into(), cursor: Some(Cursor::new(1, text)), page: None, scan, gone: false }
}

async fn cursors_move_with_their_rows(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    same!(states(&run).await?, [], "positions before the first commit");
    let exact = "1700000000.123456|Zoë \u{1}'\"\\|00012345678901234567890";
    let page =
        PageCommit { cursors: vec![moved("p1", exact, u64::MAX), moved("p2", "9", 0)], ..run.rows_page(&[up("a", json!({"v": 1}))]) };
    run.store.commit(page).await?;
    same!(states(&run).await?, [state("p1", exact, u64::MAX), state("p2", "9", 0)], "positions after the first commit");
    let version = CursorMove { cursor: Some(Cursor::new(u16::MAX, "")), ..moved("p2", "", 1) };
    go(&run, vec![version]).await?;
    let second = PartitionState { cursor: Some(Cursor::new(u16::MAX, "")), ..state("p2", "", 1) };
    same!(states(&run).await?, [state("p1", exact, u64::MAX), second], "positions after the second");
    Ok(())
}

async fn cursors_stay_without_their_rows(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    go(&run, vec![moved("p", "1", 1)]).await?;
    let fence = Fence { token: run.fence.token.wrapping_add(1), ..run.fence };
    let page = PageCommit { fence, cursors: vec![moved("p", "2", 2)], ..run.rows_page(&[up("a", json!({"v": 1}))]) };
    refused(run.store.commit(page).await, ErrorKind::LeaseLost, "a commit with another fence")?;
    same!(states(&run).await?, [state("p", "1", 1)], "the position");
    Ok(())
}

async fn a_move_without_cursor_keeps_it(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let page = Some((PageToken::from("next"), at(30)));
    go(&run, vec![CursorMove { page, ..moved("p", "5", 1) }]).await?;
    go(&run, vec![CursorMove { cursor: None, ..moved("p", "", 2) }]).await?;
    same!(states(&run).await?, [state("p", "5", 2)], "the position");
    Ok(())
}

async fn page_tokens_are_kept_with_their_end(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let page = Some((PageToken::from("dXNlcjpVMEc5V0ZYTlo=&a b/ü"), at(30)));
    let first = CursorMove { cursor: None, page: page.clone(), ..moved("p", "", 7) };
    go(&run, vec![first]).await?;
    same!(states(&run).await?, [PartitionState { cursor: None, page, ..state("p", "", 7) }], "the position mid-way");
    Ok(())
}

async fn feeds_have_positions_of_their_own(scene: Scene) -> Looked {
    let own = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    go(&own, vec![moved("p", "own", 1)]).await?;
    own.end().await?;
    let through = scene.begin(&mapped("c1"), &people()).await?;
    same!(states(&through).await?, [], "positions of the mapping's feed");
    go(&through, vec![moved("p", "mapped", 2)]).await?;
    let other = scene.begin(&mapped("c2"), &people()).await?;
    go(&other, vec![moved("p", "other", 3)]).await?;
    same!(states(&own).await?, [state("p", "own", 1)], "the stream's own");
    same!(states(&through).await?, [state("p", "mapped", 2)], "the mapping's");
    same!(states(&other).await?, [state("p", "other", 3)], "the other connection's");
    Ok(())
}

async fn resetting_forgets_positions_alone(scene: Scene) -> Looked {
    let one = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let two = scene.begin(&feed("c2", "s"), &plain("x_s")).await?;
    for run in [&one, &two] {
        let page = PageCommit { cursors: vec![moved("p", "5", 1)], ..run.rows_page(&[up("a", json!({"v": 1}))]) };
        run.store.commit(page).await?;
    }
    one.store.reset_cursors(&one.feed).await?;
    let left = states(&one).await?;
    holds!(left.iter().all(|state| state.cursor.is_none() && state.page.is_none()), "positions that were forgotten: {left:?}");
    same!(states(&two).await?, [state("p", "5", 1)], "positions of the other connection");
    same!(one.store.count_entities(&"x_s".into()).await?, 2, "rows");
    Ok(())
}

async fn gone_partitions_are_marked(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    go(&run, vec![moved("p1", "1", 1), moved("p2", "2", 1)]).await?;
    run.store.end_run(run.fence, RunEnd { gone: vec!["p1".into()], ..ending(RunStatus::Completed) }).await?;
    let marked = PartitionState { gone: true, ..state("p1", "1", 1) };
    same!(states(&run).await?, [marked, state("p2", "2", 1)], "after the run that missed one");
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    go(&run, vec![moved("p1", "3", 2)]).await?;
    same!(states(&run).await?, [state("p1", "3", 2), state("p2", "2", 1)], "when it is read again");
    Ok(())
}

async fn events_are_replayed_in_order(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    for n in 0..3 {
        let events = vec![format!(r#"{{"type":"page","n":{n}}}"#).into(), r#"{"type":"odd","text":"Zoë \u0000"}"#.into()];
        run.store.commit(PageCommit { events, ..run.page(Vec::new()) }).await?;
    }
    let all = run.store.events(0, 100).await?;
    same!(all.len(), 6, "events");
    holds!(all.windows(2).all(|pair| pair[0].seq < pair[1].seq), "sequence numbers do not grow: {all:?}");
    holds!(all.iter().all(|event| event.run == Some(run.fence.run)), "events of another run: {all:?}");
    same!(&*all[2].body, r#"{"type":"page","n":1}"#, "the third");
    same!(&*all[1].body, r#"{"type":"odd","text":"Zoë \u0000"}"#, "the second, to the letter");
    same!(run.store.events(all[1].seq, 2).await?, all[2..4], "two after the second");
    same!(run.store.events(all[5].seq, 9).await?, [], "events after the last");
    Ok(())
}
