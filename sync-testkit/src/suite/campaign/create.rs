//! Making objects.

use std::collections::BTreeSet;

use sync_core::{Delivery, Error, ErrorKind, PlatformId, Retry};

use super::{
    Trouble,
    fixture::Subjects,
    trial::{Ready, Trial, has, marker},
};
use crate::suite::{Expect, Finding, differs, ensure, refused, same};

pub(super) async fn create_makes_exactly_one_object(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let ready = trial.ready(level).await?;
        let before = trial.objects(level.level);
        let object = trial.create(level, 1, &ready).await.expected(&format!("a {:?}", level.level))?;
        same("the level of what was made", &level.level, &object.level)?;
        let after = trial.objects(level.level);
        same(&format!("objects of {:?}", level.level), &(before.len() + 1), &after.len())?;
        let held = after.get(object.id.as_str()).ok_or_else(|| differs("an object with the id that was answered", format!("{after:?}")))?;
        ensure(has(held, &(level.draft)(1)), format!("the fields {}", (level.draft)(1)), || format!("{held:?}"))?;
    }
    Ok(())
}

pub(super) async fn what_is_created_is_paused(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        trial.made(level, 1).await?;
        let running: Vec<_> = trial.objects(level.level).into_iter().filter(|(_, held)| held.running).collect();
        ensure(running.is_empty(), format!("a {:?} that does not run", level.level), || format!("{running:?}"))?;
    }
    Ok(())
}

pub(super) async fn a_child_needs_its_parent(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in subjects.subject.levels.iter().filter(|level| level.parent.is_some()) {
        let trial = Trial::new(subjects);
        let ready = trial.ready(level).await?;
        let object = trial.create(level, 1, &ready).await.expected("a child")?;
        let parent = trial.objects(level.level).remove(object.id.as_str()).and_then(|held| held.parent);
        same("what it belongs to", &ready.parent.as_ref().map(ToString::to_string), &parent)?;
        let before = trial.everything();
        for parent in [None, Some(PlatformId::from("999999999"))] {
            let orphan = Ready { parent, parts: ready.parts.clone() };
            let rule = format!("an error for a {:?} without a parent", level.level);
            refused(trial.create(level, 2, &orphan).await, &rule)?;
            same("the platform's objects", &before, &trial.everything())?;
        }
    }
    Ok(())
}

pub(super) async fn parts_come_first_and_in_order(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let parts = trial.parts(level);
        same("the parts when asked again", &parts, &trial.parts(level))?;
        same("parts named once", &parts.len(), &parts.iter().collect::<BTreeSet<_>>().len())?;
        if parts.is_empty() {
            continue;
        }
        let ready = trial.ready(level).await?;
        same("parts made", &parts.len(), &ready.parts.iter().collect::<BTreeSet<_>>().len())?;
        for (n, name) in parts.iter().enumerate() {
            let made = trial.objects(sync_core::Level::Part(name));
            let id = ready.parts[n].as_str();
            ensure(made.len() == 1 && made.contains_key(id), format!("one {name} with the id {id}"), || format!("{made:?}"))?;
        }
        // The whole needs each of them.
        let before = trial.objects(level.level);
        let fewer = Ready { parent: ready.parent.clone(), parts: ready.parts[..parts.len() - 1].to_vec() };
        refused(trial.create(level, 1, &fewer).await, &format!("an error for a {:?} without its last part", level.level))?;
        same("objects without all parts", &before, &trial.objects(level.level))?;
        trial.create(level, 1, &ready).await.expected("an object with all its parts")?;
    }
    Ok(())
}

pub(super) async fn a_marker_finds_its_object(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let ready = trial.ready(level).await?;
        let object = trial.create(level, 1, &ready).await.expected("an object")?;
        let other = trial.create(level, 2, &ready).await.expected("another object")?;
        let before = trial.everything();
        for (n, id) in [(1, &object.id), (2, &other.id)] {
            let found = trial.find(level, n, &marker(n), &ready).await.expected("a look")?;
            let ids: Vec<_> = found.iter().map(|found| found.id.clone()).collect();
            same(&format!("what a look for a {:?} finds", level.level), &vec![id.clone()], &ids)?;
        }
        let found = trial.find(level, 3, &marker(3), &ready).await.expected("a look")?;
        ensure(found.is_empty(), "nothing for what was never made", || format!("{found:?}"))?;
        same("the platform's objects after looks", &before, &trial.everything())?;
    }
    Ok(())
}

pub(super) async fn a_taken_name_leads_to_the_object_there(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        let trial = Trial::new(subjects);
        let ready = trial.ready(level).await?;
        let object = trial.create(level, 1, &ready).await.expected("an object")?;
        let before = trial.everything();
        match trial.create_as(level, &(level.draft)(1), &marker(55), &ready).await {
            Ok(adopted) => same("the id of what is there", &object.id, &adopted.id)?,
            Err(error) => {
                let known = error.delivery() != Delivery::Unknown && error.kind() == ErrorKind::Conflict;
                ensure(known, "Conflict, as the platform answered", || format!("{error:?}"))?;
            }
        }
        same("the platform's objects", &before, &trial.everything())?;
        // Whoever made it: it is found by its name, so that it can be adopted.
        let found = trial.find(level, 1, &marker(55), &ready).await.expected("a look")?;
        let ids: Vec<_> = found.iter().map(|found| found.id.clone()).collect();
        same("what a look by another marker and the same draft finds", &vec![object.id], &ids)?;
    }
    Ok(())
}

pub(super) async fn a_lost_create_is_unknown_and_found(subjects: Subjects<'_>) -> Result<(), Finding> {
    for level in &subjects.subject.levels {
        for (trouble, arrives) in [(Trouble::LostAnswer, 1), (Trouble::LostRequest, 0)] {
            let trial = Trial::new(subjects);
            let ready = trial.ready(level).await?;
            let before = trial.objects(level.level).len();
            if !trial.world.platform.trouble(level.level, trouble) {
                continue;
            }
            let rule = format!("{:?}, {trouble:?}: an error of unknown delivery", level.level);
            let error = refused(trial.create(level, 1, &ready).await, &rule)?;
            ensure(error.delivery() == Delivery::Unknown, rule, || format!("{error:?}"))?;
            let made = trial.objects(level.level).len() - before;
            same(&format!("{:?}, {trouble:?}: objects made", level.level), &arrives, &made)?;
            let found = trial.find(level, 1, &marker(1), &ready).await.expected("a look")?;
            same(&format!("{:?}, {trouble:?}: objects found", level.level), &arrives, &found.len())?;
            let there = trial.objects(level.level);
            let right = found.iter().all(|found| there.get(found.id.as_str()).is_some_and(|held| has(held, &(level.draft)(1))));
            ensure(right, "what was sent", || format!("{found:?}"))?;
        }
    }
    Ok(())
}

pub(super) async fn errors_of_a_create_are_honest(subjects: Subjects<'_>) -> Result<(), Finding> {
    type Honest = fn(&Error) -> bool;
    let rules: [(Trouble, &str, Honest); 2] = [
        (Trouble::Refused, "not sent, and worth another try", |e| e.delivery() == Delivery::NotSent && e.retry() != Retry::Never),
        (Trouble::Invalid, "Invalid, answered, and not worth another try", |e| {
            e.kind() == ErrorKind::Invalid && e.delivery() == Delivery::Answered && e.retry() == Retry::Never
        }),
    ];
    for level in &subjects.subject.levels {
        for (trouble, rule, honest) in rules {
            let trial = Trial::new(subjects);
            let ready = trial.ready(level).await?;
            let before = trial.everything();
            if !trial.world.platform.trouble(level.level, trouble) {
                continue;
            }
            let error = refused(trial.create(level, 1, &ready).await, rule)?;
            ensure(honest(&error), format!("{:?}, {trouble:?}: {rule}", level.level), || format!("{error:?}"))?;
            same("the platform's objects", &before, &trial.everything())?;
        }
    }
    Ok(())
}

pub(super) async fn a_refused_permit_makes_nothing(subjects: Subjects<'_>) -> Result<(), Finding> {
    let trial = Trial::new(subjects);
    let Some(level) = subjects.subject.levels.first() else { return Ok(()) };
    let ready = trial.ready(level).await?;
    let before = trial.everything();
    let open = Error::new(ErrorKind::CircuitOpen, "permit", "calls are suspended").with_retry(Retry::After(None));
    trial.services.refuse_permit(open.with_delivery(Delivery::NotSent));
    let error = refused(trial.create(level, 1, &ready).await, "the error of the permit")?;
    same("the kind of the error", &ErrorKind::CircuitOpen, &error.kind())?;
    same("the platform's objects", &before, &trial.everything())
}
