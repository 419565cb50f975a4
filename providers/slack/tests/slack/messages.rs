//! Messages: each once, threads with their parents, positions that leave no hole.

use std::time::Duration;

use crate::support::{Bench, HISTORY, REPLIES, after, at};
use provider_slack::simulator::SlackSim;
use serde_json::{Value, json};
use sync_core::{Cursor, ErrorKind};

#[tokio::test]
async fn every_message_of_a_workspace_comes_once_whatever_the_pages() {
    for page in [1, 2, 7, 100] {
        let bench = Bench::over(SlackSim::seeded(3));
        bench.sim().page_size(page);
        let mut ids = Vec::new();
        for partition in bench.partitions().await.expect("partitions") {
            let mut request = bench.request_for(partition);
            request.look_back = Duration::ZERO;
            let scan = bench.scan(request).await.expect("reads");
            assert!(scan.complete() && scan.failures.is_empty());
            ids.extend(scan.ids().into_iter().map(str::to_owned));
        }
        ids.sort();
        assert_eq!(ids, bench.sim().keys(), "pages of {page}");
        assert!(ids.len() > 240, "{}", ids.len());
    }
}

#[tokio::test]
async fn replies_point_at_their_parent_and_roots_at_nothing() {
    let (bench, posted) = Bench::with_messages(2);
    let reply = bench.sim().reply("C1", &posted[0], "U2", "an answer");
    let scan = bench.full().await.expect("reads");
    let parent = scan.message(&posted[0]);
    assert_eq!((&parent["parent_ts"], &parent["thread_ts"]), (&Value::Null, &json!(posted[0])));
    let answer = scan.message(&reply);
    assert_eq!((&answer["parent_ts"], &answer["thread_ts"], &answer["ts"]), (&json!(posted[0]), &json!(posted[0]), &json!(reply)));
    let lone = scan.message(&posted[1]);
    assert_eq!((&lone["parent_ts"], &lone["thread_ts"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_reply_sent_to_the_channel_comes_once() {
    let (bench, posted) = Bench::with_messages(1);
    bench.sim().reply("C1", &posted[0], "U2", "in the thread");
    let both = bench.sim().broadcast("C1", &posted[0], "U2", "for all");
    let scan = bench.full().await.expect("reads");
    assert_eq!(scan.ids(), bench.sim().keys());
    assert_eq!(scan.message(&both)["parent_ts"], json!(posted[0]));
}

#[tokio::test]
async fn long_threads_are_read_to_their_end() {
    let (bench, posted) = Bench::with_messages(3);
    for n in 0..23 {
        bench.sim().reply("C1", &posted[1], "U2", &format!("answer {n}"));
    }
    bench.sim().page_size(5);
    let scan = bench.full().await.expect("reads");
    assert_eq!(scan.ids(), bench.sim().keys());
    assert!(bench.simulation.count(REPLIES) >= 5);
}

#[tokio::test]
async fn without_replies_threads_are_not_read_and_nothing_is_complete() {
    let (bench, posted) = Bench::with_messages(2);
    bench.sim().reply("C1", &posted[0], "U2", "unread");
    let bench = bench.set(json!({"replies": false}));
    let scan = bench.full().await.expect("reads");
    assert_eq!((scan.ids().len(), scan.complete(), bench.simulation.count(REPLIES)), (2, false, 0));
}

#[tokio::test]
async fn the_position_comes_with_the_last_page_alone_and_is_the_newest_message() {
    let (bench, posted) = Bench::with_messages(9);
    let reply = bench.sim().reply("C1", &posted[2], "U1", "the newest of all");
    bench.sim().page_size(2);
    let scan = bench.full().await.expect("reads");
    let (last, before) = scan.pages.split_last().expect("pages");
    assert!(before.len() > 4 && before.iter().all(|page| page.cursor.is_none()));
    assert_eq!(last.cursor, Some(Cursor::new(1, reply)));
}

#[tokio::test]
async fn the_position_is_never_beyond_the_end_of_the_run() {
    let (bench, _) = Bench::with_messages(3);
    let mut request = bench.request(None).await;
    bench.sim().set_time(request.until);
    let on_the_border = bench.sim().post("C1", "U1", "at the very end");
    bench.sim().set_time(request.until + Duration::from_micros(1));
    let late = bench.sim().post("C1", "U1", "a microsecond late");
    bench.sim().set_time(request.until + Duration::from_secs(1));
    let late_reply = bench.sim().reply("C1", &on_the_border, "U2", "late, too");
    request.until += Duration::from_nanos(999);
    let scan = bench.scan(request).await.expect("reads");
    assert!(scan.has(&on_the_border) && !scan.has(&late) && !scan.has(&late_reply));
    assert_eq!(scan.cursor(), Some(Cursor::new(1, on_the_border)));

    bench.services.clock().advance(Duration::from_secs(60));
    let next = bench.since(scan.cursor().expect("a position")).await.expect("reads");
    assert!(next.has(&late) && next.has(&late_reply));
}

#[tokio::test]
async fn the_message_at_the_border_is_read_again_and_the_one_beside_it_is_not_lost() {
    let bench = Bench::new();
    let noon = at("2025-12-01T12:00:00Z");
    bench.sim().set_time(noon);
    let first = bench.sim().post("C1", "U1", "first");
    bench.sim().set_time(noon + Duration::from_micros(1));
    let second = bench.sim().post("C1", "U1", "a microsecond later");
    let mut request = bench.request(Some(Cursor::new(1, first.clone()))).await;
    request.look_back = Duration::ZERO;
    let scan = bench.scan(request).await.expect("reads");
    assert_eq!(scan.ids(), [format!("C1/{first}"), format!("C1/{second}")]);
    assert_eq!(scan.cursor(), Some(Cursor::new(1, second)));
}

#[tokio::test]
async fn a_channel_without_news_keeps_its_position_and_an_empty_one_has_none() {
    let (bench, posted) = Bench::with_messages(1);
    let cursor = Cursor::new(1, posted[0].clone());
    bench.sim().delete("C1", &posted[0]);
    let scan = bench.since(cursor.clone()).await.expect("reads");
    assert_eq!((scan.records.len(), scan.cursor(), scan.complete()), (0, Some(cursor), false));
    let empty = bench.full().await.expect("reads");
    assert_eq!((empty.records.len(), empty.cursor(), empty.complete()), (0, None, true));
}

#[tokio::test]
async fn edits_reactions_and_late_replies_of_the_last_day_are_seen() {
    let bench = Bench::new();
    bench.sim().set_time(at("2025-11-03T09:00:00Z"));
    let old = bench.sim().post("C1", "U1", "long ago");
    bench.sim().set_time(at("2025-11-20T09:00:00Z"));
    let edited = bench.sim().post("C1", "U1", "befroe");
    let thread = bench.sim().post("C1", "U1", "a question");
    let liked = bench.sim().post("C1", "U1", "news");
    let disliked = bench.sim().post("C1", "U1", "other news");
    bench.sim().react("C1", &disliked, "U2", "-1");
    let first = bench.full().await.expect("reads");
    assert!(first.message(&disliked)["reactions"].is_array());

    bench.sim().edit("C1", &edited, "before");
    bench.sim().react("C1", &liked, "U2", "tada");
    bench.sim().clear_reactions("C1", &disliked);
    bench.sim().edit("C1", &old, "unseen until a full pull");
    let late = bench.sim().reply("C1", &thread, "U2", "a late answer");
    let second = bench.since(first.cursor().expect("a position")).await.expect("reads");
    assert_eq!(second.message(&edited)["text"], "before");
    assert_eq!(second.message(&edited)["edited"]["user"], "U1");
    assert_eq!(second.message(&liked)["reactions"][0]["name"], "tada");
    assert_eq!(second.message(&disliked)["reactions"], Value::Null, "what was taken back does not stay");
    assert_eq!(second.message(&late)["parent_ts"], json!(thread));
    assert_eq!(second.message(&thread)["latest_reply"], json!(late));
    assert!(!second.has(&old) && !second.complete());
    assert_eq!(second.cursor(), Some(Cursor::new(1, late)));
}

#[tokio::test]
async fn an_old_thread_is_found_again_by_a_reply_sent_to_the_channel() {
    let bench = Bench::new();
    bench.sim().set_time(at("2025-11-03T09:00:00Z"));
    let old = bench.sim().post("C1", "U1", "an old question");
    bench.sim().set_time(at("2025-11-20T09:00:00Z"));
    bench.sim().post("C1", "U1", "today");
    let cursor = bench.full().await.expect("reads").cursor().expect("a position");
    let quiet = bench.sim().reply("C1", &old, "U2", "in the thread alone");
    let without = bench.since(cursor.clone()).await.expect("reads");
    assert!(!without.has(&quiet), "a known limit: only a full pull finds it");
    let loud = bench.sim().broadcast("C1", &old, "U2", "and now for all");
    let with = bench.since(cursor).await.expect("reads");
    assert!(with.has(&quiet) && with.has(&loud) && !with.has(&old));
    assert!(bench.full().await.expect("reads").has(&quiet));
}

#[tokio::test]
async fn a_complete_scan_shows_deletes_and_a_deleted_parent_stays_as_a_tombstone() {
    let (bench, posted) = Bench::with_messages(4);
    let reply = bench.sim().reply("C1", &posted[1], "U2", "an answer");
    assert!(bench.full().await.expect("reads").complete());
    bench.sim().delete("C1", &posted[0]);
    bench.sim().delete("C1", &posted[1]);
    let scan = bench.full().await.expect("reads");
    assert!(scan.complete() && !scan.has(&posted[0]) && scan.has(&reply));
    assert_eq!(scan.message(&posted[1])["subtype"], "tombstone");
    assert_eq!(scan.message(&reply)["parent_ts"], json!(posted[1]));
}

#[tokio::test]
async fn a_thread_that_goes_while_it_is_read_stops_nothing_and_proves_no_deletes() {
    let (bench, posted) = Bench::with_messages(2);
    let reply = bench.sim().reply("C1", &posted[0], "U2", "soon gone");
    let mut request = bench.request(None).await;
    let mut scan = crate::support::Scan::default();
    let page = bench.page(&request).await.expect("reads");
    request.after = after(&page);
    scan.take(page);
    bench.sim().delete("C1", &reply);
    bench.sim().delete("C1", &posted[0]);
    let page = bench.page(&request).await.expect("reads on");
    assert!(page.unseen);
    scan.take(page);
    assert!(!scan.complete() && scan.cursor().is_some());
    assert!(scan.failures[0].to_string().contains("deleted while"), "{:?}", scan.failures);
}

#[tokio::test]
async fn a_scan_interrupted_after_any_page_goes_on_from_its_token_to_the_same_end() {
    let (bench, posted) = Bench::with_messages(8);
    for parent in [1, 4, 5] {
        for n in 0..3 {
            bench.sim().reply("C1", &posted[parent], "U2", &format!("answer {n}"));
        }
    }
    bench.sim().page_size(3);
    let cursor = Cursor::new(1, posted[6].clone());
    for cursor in [None, Some(cursor)] {
        let whole = bench.scan(bench.request(cursor.clone()).await).await.expect("reads");
        let tokens: Vec<_> = whole.pages.iter().map(after).collect();
        for (done, token) in tokens.into_iter().enumerate().filter(|(_, token)| token.is_some()) {
            // Another process, later: no cache, and a window of its own that must not count.
            let later = Bench {
                slack: bench.another(),
                services: bench.services.clone(),
                simulation: bench.simulation.clone(),
                settings: json!({}),
            };
            let mut request = later.request(cursor.clone()).await;
            request.after = token;
            request.until += Duration::from_secs(3600);
            let rest = later.scan(request).await.expect("reads on");
            let mut ids: Vec<&str> = rest.records.iter().map(|(id, _)| id.as_str()).collect();
            ids.extend(whole.pages[..=done].iter().flat_map(|page| page.batch.records().iter().map(|record| record.id.as_str())));
            ids.sort_unstable();
            assert_eq!(ids, whole.ids(), "after page {done}");
            assert_eq!((rest.cursor(), rest.complete()), (whole.cursor(), whole.complete()));
        }
    }
}

#[tokio::test]
async fn what_one_page_could_not_show_is_remembered_over_an_interruption() {
    let (bench, _) = Bench::with_messages(2);
    let mut request = bench.request(None).await;
    let odd = r#"{"ok":true,"messages":[{"type":"message","text":"no ts"}],"has_more":true,"response_metadata":{"next_cursor":"bmV4dF90czo5OTk5OTk5OTk5MDAwMDAw"}}"#;
    bench.simulation.faults().push(HISTORY, sync_testkit::Fault::Body(odd.into()));
    let page = bench.page(&request).await.expect("the page goes on");
    assert_eq!((page.failures.len(), page.unseen, page.read()), (1, true, 1));
    request.after = after(&page);
    let rest = bench.scan(request).await.expect("reads on");
    assert_eq!((rest.ids().len(), rest.complete()), (2, false));
}

#[tokio::test]
async fn history_hidden_by_slacks_free_plan_proves_no_deletes() {
    let (bench, _) = Bench::with_messages(0);
    let body = r#"{"ok":true,"messages":[{"type":"message","ts":"1764000000.000100"}],"has_more":false,"is_limited":true}"#;
    bench.simulation.faults().push(HISTORY, sync_testkit::Fault::Body(body.into()));
    let scan = bench.full().await.expect("reads");
    assert_eq!((scan.records.len(), scan.complete()), (1, false));
}

#[tokio::test]
async fn fewer_records_are_asked_for_when_fewer_are_wanted() {
    let (bench, posted) = Bench::with_messages(9);
    let mut request = bench.request(None).await;
    request.limit = Some(3);
    let page = bench.page(&request).await.expect("reads");
    let ids: Vec<&str> = page.batch.records().iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, [format!("C1/{}", posted[8]), format!("C1/{}", posted[7]), format!("C1/{}", posted[6])]);
}

#[tokio::test]
async fn a_position_of_another_version_is_refused_as_expired() {
    let (bench, posted) = Bench::with_messages(1);
    let error = bench.since(Cursor::new(2, posted[0].clone())).await.expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::CursorExpired);
    assert_eq!(bench.simulation.count(HISTORY), 0);
}

#[tokio::test]
async fn commercial_apps_draw_from_their_own_quota_and_ask_for_fifteen() {
    let (bench, posted) = Bench::with_messages(20);
    bench.sim().reply("C1", &posted[19], "U2", "an answer");
    let bench = bench.set(json!({"commercial": true}));
    bench.sim().enforce_quotas(true);
    let scan = bench.full().await.expect("waits where it has to");
    assert_eq!(scan.ids(), bench.sim().keys());
    let drawn = bench.services.calls().permits;
    for bucket in ["conversations.history.commercial", "conversations.replies.commercial"] {
        assert!(drawn.iter().any(|(name, cost)| name == bucket && *cost == 1), "{drawn:?}");
    }
    assert!(!drawn.iter().any(|(name, _)| name == "conversations.history" || name == "conversations.replies"), "{drawn:?}");
    assert!(scan.pages.iter().all(|page| page.batch.len() <= 15));
}

#[tokio::test]
async fn every_quota_a_call_draws_from_is_one_of_the_descriptors() {
    use sync_core::IntegrationSync;
    let (bench, posted) = Bench::with_messages(2);
    bench.sim().reply("C1", &posted[0], "U2", "an answer");
    bench.sim().add_user("U3", "Guest");
    bench.sim().hide_user("U3");
    bench.sim().post("C1", "U3", "hello");
    bench.full().await.expect("reads");
    bench.listing("channels").await.expect("reads");
    let known: Vec<&str> = bench.slack.descriptor().quotas.iter().map(|quota| quota.bucket).collect();
    let drawn = bench.services.calls().permits;
    assert!(drawn.iter().all(|(bucket, _)| known.contains(&bucket.as_str())), "{drawn:?}");
    assert_eq!(drawn.iter().map(|(bucket, _)| bucket).collect::<std::collections::BTreeSet<_>>().len(), 6, "{drawn:?}");
}
