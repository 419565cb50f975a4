//! What a run saw of its stream, kept for the next one.

use sync_core::{
    ErrorKind, Field, FieldKind,
    mapping::HeaderFingerprint,
    store::{Fence, Look, RunEnd, RunStatus},
};

use super::{
    Check,
    check::{Looked, refused},
    scene::{Pull, Scene, ending, feed, mapped, people, plain},
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        a_look_is_kept_with_the_end_of_its_run,
        "What a run saw of its stream is kept with its end, exactly, until another end says more"
    ),
    check!(feeds_have_looks_of_their_own, "Feeds of one stream have looks of their own, which resetting leaves"),
];

fn look(names: &[&str], records: Option<u64>) -> Look {
    let fields: Vec<Field> = names.iter().map(|name| Field::typed(*name, FieldKind::Date).labelled(format!("Column of {name}"))).collect();
    Look { header: HeaderFingerprint::of(&fields), records }
}

async fn end(run: &Pull, look: Option<Look>) -> Looked {
    run.store.end_run(run.fence, RunEnd { look, ..ending(RunStatus::Completed) }).await?;
    Ok(())
}

async fn a_look_is_kept_with_the_end_of_its_run(scene: Scene) -> Looked {
    let (feed, target) = (feed("c1", "s"), plain("x_s"));
    let run = scene.begin(&feed, &target).await?;
    same!(run.store.last_look(&feed).await?, None, "before the first end");
    let first = look(&["Zoë \u{1}'\"\\|", "a\u{0}b", "Zoë \u{1}'\"\\|"], Some(1 << 40));
    let fence = Fence { token: run.fence.token.wrapping_add(1), ..run.fence };
    let foreign = RunEnd { look: Some(look(&["odd"], None)), ..ending(RunStatus::Completed) };
    refused(run.store.end_run(fence, foreign).await, ErrorKind::LeaseLost, "an end with another fence")?;
    same!(run.store.last_look(&feed).await?, None, "after an end that was refused");
    end(&run, Some(first.clone())).await?;
    same!(run.store.last_look(&feed).await?, Some(first.clone()), "after the first end");
    end(&scene.begin(&feed, &target).await?, None).await?;
    same!(run.store.last_look(&feed).await?, Some(first), "after an end that says nothing of it");
    let second = look(&["b"], None);
    end(&scene.begin(&feed, &target).await?, Some(second.clone())).await?;
    same!(run.store.last_look(&feed).await?, Some(second), "after the next that does");
    Ok(())
}

async fn feeds_have_looks_of_their_own(scene: Scene) -> Looked {
    let own = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    end(&own, Some(look(&["own"], Some(1)))).await?;
    let through = scene.begin(&mapped("c1"), &people()).await?;
    same!(through.store.last_look(&through.feed).await?, None, "the look of the mapping's feed");
    end(&through, Some(look(&["mapped"], Some(2)))).await?;
    let other = scene.begin(&mapped("c2"), &people()).await?;
    end(&other, Some(look(&["other"], Some(3)))).await?;
    own.store.reset_cursors(&own.feed).await?;
    for (run, names, records) in [(&own, "own", 1), (&through, "mapped", 2), (&other, "other", 3)] {
        same!(run.store.last_look(&run.feed).await?, Some(look(&[names], Some(records))), "the look of its own feed");
    }
    Ok(())
}
