//! Changing, removing and fetching objects.

use sync_core::{Draft, ErrorKind, PlatformId, PlatformObject, TargetStatus};

use super::{
    LevelSubject,
    fixture::Subjects,
    trial::{Ready, Trial, has, raw},
};
use crate::suite::{Expect, Finding, differs, ensure, refused, same};

/// Pages after which a fetch is taken for endless.
const ENDLESS: usize = 1_000;

/// Two objects of a level, and what they needed.
async fn two(trial: &Trial<'_>, level: &LevelSubject) -> Result<(Ready, PlatformObject, PlatformObject), Finding> {
    let ready = trial.ready(level).await?;
    let first = trial.create(level, 1, &ready).await.expected("an object")?;
    let second = trial.create(level, 2, &ready).await.expected("another object")?;
    Ok((ready, first, second))
}

pub(super) async fn an_update_may_be_repeated(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let (ready, object, other) = two(&trial, level).await?;
        let before = trial.objects(level.level);
        let fields = raw(&(level.changed)(1));
        let draft = Draft { level: level.level, parent: ready.parent.as_ref(), parts: &ready.parts, fields: &fields };
        for _ in 0..2 {
            let updated = trial.adapter().update(&trial.cx, &object.id, &draft).await.expected("an update")?;
            same("the id of what was changed", &object.id, &updated.id)?;
            let after = trial.objects(level.level);
            same("objects", &before.keys().collect::<Vec<_>>(), &after.keys().collect())?;
            let held = after.get(object.id.as_str());
            ensure(held.is_some_and(|held| has(held, &(level.changed)(1))), format!("the fields {}", (level.changed)(1)), || {
                format!("{held:?}")
            })?;
            same("another object", &before.get(other.id.as_str()), &after.get(other.id.as_str()))?;
        }
    }
    Ok(())
}

pub(super) async fn a_status_may_be_set_again(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let (_, object, other) = two(&trial, level).await?;
        for (status, running) in [TargetStatus::Active, TargetStatus::Active, TargetStatus::Paused, TargetStatus::Paused]
            .into_iter()
            .zip([true, true, false, false])
        {
            let answered = trial.adapter().set_status(&trial.cx, level.level, &object.id, status).await.expected("a status")?;
            same("the id of the object", &object.id, &answered.id)?;
            let held = trial.objects(level.level);
            let runs = |id: &PlatformId| held.get(id.as_str()).map(|held| held.running);
            same(&format!("whether a {:?} set to {status:?} is there and runs", level.level), &Some(running), &runs(&object.id))?;
            same("whether another object is there and runs", &Some(false), &runs(&other.id))?;
        }
    }
    Ok(())
}

pub(super) async fn a_delete_may_be_repeated(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let (_, object, other) = two(&trial, level).await?;
        for time in ["a delete", "a delete of what is gone"] {
            trial.adapter().set_status(&trial.cx, level.level, &object.id, TargetStatus::Deleted).await.expected(time)?;
            let ids: Vec<_> =
                trial.objects(level.level).into_keys().filter(|id| id == object.id.as_str() || id == other.id.as_str()).collect();
            same(&format!("objects of {:?} after {time}", level.level), &vec![other.id.to_string()], &ids)?;
        }
    }
    Ok(())
}

pub(super) async fn an_unknown_id_is_not_found(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let (ready, ..) = two(&trial, level).await?;
        let before = trial.everything();
        let unknown = PlatformId::from("999999999");
        let fields = raw(&(level.changed)(1));
        let draft = Draft { level: level.level, parent: ready.parent.as_ref(), parts: &ready.parts, fields: &fields };
        let error = refused(trial.adapter().update(&trial.cx, &unknown, &draft).await, "NotFound")?;
        same("the kind of an update's error", &ErrorKind::NotFound, &error.kind())?;
        let ended = trial.adapter().set_status(&trial.cx, level.level, &unknown, TargetStatus::Active).await;
        same("the kind of a status's error", &ErrorKind::NotFound, &refused(ended, "NotFound")?.kind())?;
        match trial.adapter().fetch(&trial.cx, level.level, Some(&[unknown]), None).await {
            Ok((objects, _)) => ensure(objects.is_empty(), "no object", || format!("{objects:?}"))?,
            Err(error) => same("the kind of a fetch's error", &ErrorKind::NotFound, &error.kind())?,
        }
        same("the platform's objects", &before, &trial.everything())?;
    }
    Ok(())
}

pub(super) async fn fetch_by_ids_brings_those(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let (ready, first, _) = two(&trial, level).await?;
        let third = trial.create(level, 3, &ready).await.expected("a third object")?;
        let mut wanted = vec![first.id, third.id];
        let (objects, next) = trial.adapter().fetch(&trial.cx, level.level, Some(&wanted), None).await.expected("a fetch")?;
        let mut ids: Vec<_> = objects.iter().map(|object| object.id.clone()).collect();
        ids.sort();
        wanted.sort();
        same(&format!("objects of {:?} by ids", level.level), &wanted, &ids)?;
        ensure(next.is_none(), "no page after all that was asked for", || format!("{next:?}"))?;
        let levels: Vec<_> = objects.iter().filter(|object| object.level != level.level).collect();
        ensure(levels.is_empty(), "objects of that level", || format!("{levels:?}"))?;
    }
    Ok(())
}

pub(super) async fn fetch_by_level_brings_all_once(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let ready = trial.ready(level).await?;
        for n in 0..7 {
            trial.create(level, n, &ready).await.expected("an object")?;
        }
        let (mut ids, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = trial.adapter().fetch(&trial.cx, level.level, None, after.as_ref()).await.expected("a page")?;
            let again = trial.adapter().fetch(&trial.cx, level.level, None, after.as_ref()).await.expected("the page again")?;
            let shown = |objects: &[PlatformObject]| format!("{objects:?}");
            same("a page when asked again", &(shown(&page.0), &page.1), &(shown(&again.0), &again.1))?;
            ids.extend(page.0.into_iter().map(|object| object.id.to_string()));
            pages += 1;
            after = page.1;
            if after.is_none() {
                break;
            }
            if pages > ENDLESS {
                return Err(differs("a last page", format!("{ENDLESS} pages and no end")));
            }
        }
        ids.sort();
        let truth: Vec<_> = trial.objects(level.level).into_keys().collect();
        same(&format!("objects of {:?}", level.level), &truth, &ids)?;
        ensure(pages > 1, "several pages (make them smaller in the fixture)", || pages.to_string())?;
    }
    Ok(())
}
