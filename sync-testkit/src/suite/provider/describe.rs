//! What a provider says about itself.

use std::collections::BTreeSet;

use sync_core::{ErrorKind, Partition, PullRequest, StreamName, Writes};

use super::case::Case;
use crate::suite::{Expect, Finding, differs, ensure, refused, same};

pub(super) async fn descriptor_is_stable(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let provider = &trial.world.provider;
    let before = format!("{:?}", provider.descriptor());
    provider.validate_credentials(&trial.cx).await.expected("credentials that are good")?;
    same("the descriptor after a call", &before, &format!("{:?}", provider.descriptor()))?;
    same("the descriptor of another value", &before, &format!("{:?}", case.trial().world.provider.descriptor()))?;
    same("calls made for it", &0, &case.trial().world.controls.calls().len())
}

pub(super) async fn descriptor_is_complete(case: &Case<'_>) -> Result<(), Finding> {
    let told = &case.facts.descriptor;
    let capable = told.capabilities;
    ensure(!told.title.trim().is_empty(), "a title", || format!("{:?}", told.title))?;
    let kinds = ["google_sheet", "api", "app"];
    ensure(kinds.contains(&told.source_type), format!("a source type of {kinds:?}"), || format!("{:?}", told.source_type))?;
    ensure(capable.pull || capable.push || capable.campaigns, "at least one capability", || format!("{capable:?}"))?;
    same("the campaign role is there when it is declared", &capable.campaigns, &case.facts.campaigns)?;
    ensure(told.lanes >= 1, "at least one lane", || told.lanes.to_string())?;
    for quota in told.quotas {
        ensure(quota.units > 0 && !quota.per.is_zero() && !quota.bucket.is_empty(), "a quota of something", || format!("{quota:?}"))?;
    }
    for (name, meaning) in told.settings {
        ensure(!meaning.trim().is_empty(), "a meaning of each setting", || format!("{name} has none"))?;
    }
    if capable.push {
        let push = &told.push;
        let sound = push.items > 0 && push.bytes > 0 && push.lanes > 0 && !push.in_flight.is_zero() && !push.modes.is_empty();
        ensure(sound, "limits a push can keep to", || format!("{push:?}"))?;
    }
    Ok(())
}

pub(super) async fn names_are_well_formed(case: &Case<'_>) -> Result<(), Finding> {
    let told = &case.facts.descriptor;
    let plain = |name: &str| {
        let first = name.starts_with(|letter: char| letter.is_ascii_lowercase());
        first && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '-')
    };
    ensure(plain(told.name), "a name of lower-case letters, digits, - and _", || format!("{:?}", told.name))?;
    for (name, _) in told.settings {
        ensure(plain(name), "settings of lower-case letters, digits, - and _", || format!("{name:?}"))?;
    }
    let settings: BTreeSet<_> = told.settings.iter().map(|(name, _)| name).collect();
    same("settings named once", &told.settings.len(), &settings.len())?;
    let streams: BTreeSet<_> = case.facts.streams.iter().map(|stream| stream.name.as_str()).collect();
    same("streams named once", &case.facts.streams.len(), &streams.len())?;
    ensure(!streams.contains(""), "streams with names", || format!("{streams:?}"))?;
    for stream in &case.facts.streams {
        let fields: Vec<_> = stream.fields.iter().flat_map(|fields| fields.iter()).map(|field| &*field.name).collect();
        let once: BTreeSet<_> = fields.iter().collect();
        ensure(once.len() == fields.len() && !once.contains(&""), format!("fields of {} named once", stream.name), || {
            format!("{fields:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn streams_are_repeatable(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let provider = &trial.world.provider;
    let first = provider.streams(&trial.cx).await.expected("streams")?;
    let again = provider.streams(&trial.cx).await.expected("streams a second time")?;
    same("the same streams twice", &format!("{first:?}"), &format!("{again:?}"))?;
    for name in case.facts.descriptor.fixed_streams {
        ensure(first.iter().any(|stream| stream.name.as_str() == *name), format!("the fixed stream {name:?}"), || format!("{first:?}"))?;
    }
    let mine = first.iter().find(|stream| stream.name == case.subject.stream);
    ensure(mine.is_some(), format!("the stream {:?}", case.subject.stream.as_str()), || format!("{first:?}"))?;
    if !case.facts.descriptor.capabilities.push {
        let writable: Vec<_> = first.iter().filter(|stream| stream.writes != Writes::Nothing).map(|stream| &stream.name).collect();
        ensure(writable.is_empty(), "no stream to write without the capability push", || format!("{writable:?}"))?;
    }
    Ok(())
}

pub(super) async fn partitions_are_repeatable(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let provider = &trial.world.provider;
    let first = provider.partitions(&trial.cx, &case.subject.stream).await.expected("partitions")?;
    let again = provider.partitions(&trial.cx, &case.subject.stream).await.expected("partitions a second time")?;
    same("the same partitions twice", &format!("{first:?}"), &format!("{again:?}"))?;
    let names: BTreeSet<_> = first.list.iter().map(|partition| partition.id.as_str()).collect();
    same("partitions named once", &first.list.len(), &names.len())?;
    ensure(!first.list.is_empty(), "at least one partition, as there are records", || "none".to_owned())
}

pub(super) async fn unknown_stream_is_refused(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let provider = &trial.world.provider;
    let name = StreamName::from("no such stream");
    let rule = "Config or NotFound that names the stream";
    let mut request = PullRequest::new(name.clone(), Partition::whole(), trial.services.clock().now());
    request.key = case.subject.key.clone().into();
    let error = refused(provider.pull(&trial.cx, &request).await, rule)?;
    let kind = matches!(error.kind(), ErrorKind::Config | ErrorKind::NotFound);
    if kind && error.to_string().contains(name.as_str()) { Ok(()) } else { Err(differs(rule, format!("{error:?}"))) }
}
