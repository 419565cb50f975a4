//! What a run will read, from where on, and where it goes.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use sync_core::{
    Cursor, Descriptor, EntityType, Error, Field, PageToken, Partition, PartitionId, Partitions, Place, Result, RunId, Source, Stream,
    StreamMode, StreamName, SyncContext, Target, WriteMode, Writes,
    mapping::CompiledMapping,
    store::{Feed, Look, PartitionState},
};

use super::{Pull, columns::Columns};
use crate::Connection;

/// Everything that is known before the first page.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) target: Arc<Target>,
    pub(crate) mapping: Option<Arc<CompiledMapping>>,
    pub(crate) fields: Arc<[Field]>,
    pub(crate) fields_declared: bool,
    /// The columns that lanes see as they read.
    pub(crate) columns: Arc<Columns>,
    /// What the feed's last run saw.
    pub(crate) last: Option<Look>,
    pub(crate) key: Arc<[Box<str>]>,
    pub(crate) lanes: Vec<LaneCourse>,
    /// Partitions we know that a complete list no longer has.
    pub(crate) gone: Vec<PartitionId>,
    /// Whether rows of gone partitions may be judged: everything was asked for and all of it is read.
    pub(crate) whole: bool,
}

/// One partition, from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LaneCourse {
    pub(crate) partition: Partition,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) after: Option<PageToken>,
    /// The number of the scan when everything is read; `None` for incremental reads.
    pub(crate) scan: Option<u64>,
}

/// The stream by its name, among those the account offers.
pub(crate) fn find_stream(operation: &'static str, streams: Vec<Stream>, name: &StreamName) -> Result<Stream> {
    let known = streams.iter().map(|stream| format!("{:?}", stream.name.as_str())).collect::<Vec<_>>().join(", ");
    streams
        .into_iter()
        .find(|stream| stream.name == *name)
        .ok_or_else(|| Error::config(operation, format!("there is no stream {:?}; there are: {known}", name.as_str())))
}

/// The managed entity type a stream lands in by itself: `<provider>_<stream>`, in lower-case letters, digits and underscores.
pub(crate) fn entity_of(provider: &str, stream: &StreamName) -> EntityType {
    let mut name = String::from(provider);
    let mut gap = true;
    for c in stream.as_str().chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            if gap {
                name.push('_');
            }
            name.push(c);
        }
        gap = !c.is_alphanumeric();
    }
    EntityType::from(name)
}

impl Course {
    pub(crate) async fn make(
        connection: &Connection,
        cx: &SyncContext,
        pull: &Pull,
        feed: &Feed,
        run: RunId,
        mapping: Option<Arc<CompiledMapping>>,
    ) -> Result<Self> {
        let descriptor = connection.provider.descriptor();
        let streams = connection.provider.streams(cx).await?;
        let entity = entity_of(descriptor.name, &pull.stream);
        let twins: Vec<&str> = streams.iter().filter(|s| entity_of(descriptor.name, &s.name) == entity).map(|s| s.name.as_str()).collect();
        if mapping.is_none() && twins.len() > 1 {
            let text = format!("the streams {twins:?} would share the table {:?}; map one of them to a table of its own", entity.as_str());
            return Err(Error::config("pull", text));
        }
        let stream = find_stream("pull", streams, &pull.stream)?;
        let fields: Arc<[Field]> = stream.fields.clone().unwrap_or_default();
        let last = connection.workspace.store.last_look(feed).await?;
        if let Some(mapping) = &mapping
            && stream.fields.is_some()
        {
            mapping.check_since(last.as_ref().map(|last| &last.header), &fields)?;
        }
        let row = connection.load_config().await?;
        let target = Arc::new(target(descriptor, &stream, entity, &fields, mapping.as_deref(), &row.account_id, pull));
        let key = match (&mapping, pull.key.is_empty()) {
            (Some(mapping), true) => mapping.source_key(),
            _ => Arc::from(pull.key.as_slice()),
        };
        let partitions = connection.provider.partitions(cx, &pull.stream).await?;
        let states = connection.workspace.store.partition_states(feed).await?;
        let gone = gone(&partitions, &states);
        let chosen = choose(partitions.list, pull.partitions.as_deref())?;
        let full = pull.full || stream.mode == StreamMode::Full;
        let now = cx.services.now();
        let lanes = chosen.into_iter().map(|partition| lane(partition, &states, full, pull.limit.is_some(), run, now)).collect();
        let whole = full && partitions.complete && pull.partitions.is_none() && pull.limit.is_none();
        let columns = Arc::new(Columns::new(stream.fields.as_deref()));
        Ok(Self { target, mapping, fields, fields_declared: stream.fields.is_some(), columns, last, key, lanes, gone, whole })
    }
}

fn target(
    descriptor: &Descriptor,
    stream: &Stream,
    entity: EntityType,
    fields: &Arc<[Field]>,
    mapping: Option<&CompiledMapping>,
    account: &str,
    pull: &Pull,
) -> Target {
    let refs = match mapping {
        Some(mapping) => mapping.refs(stream.name.as_str(), fields),
        None => fields
            .iter()
            .map(|field| (field.name.clone(), format!("{} → {}", stream.name, field.label.as_ref().unwrap_or(&field.name)).into()))
            .collect::<BTreeMap<_, _>>(),
    };
    let source = Source {
        kind: descriptor.source_type.into(),
        id: format!("{account}/{}", stream.name).into(),
        refs,
        mapping: pull.mapping.clone(),
        ..Source::default()
    };
    Target {
        mode: mode(pull.forced),
        entity: mapping.map_or(entity, |mapping| mapping.entity().clone()),
        place: mapping.map_or(Place::Stream, |mapping| mapping.place().clone()),
        fields: mapping.map_or_else(|| Arc::clone(fields), |mapping| mapping.fields(fields)),
        rules: Arc::new(mapping.map(CompiledMapping::rules).unwrap_or_default()),
        duplicates: mapping.and_then(CompiledMapping::duplicates).unwrap_or(stream.duplicates),
        lineage: pull.lineage,
        source: Arc::new(source),
        pushes: match mapping {
            Some(mapping) if descriptor.capabilities.push && stream.writes != Writes::Nothing => mapping.pushes(),
            _ => Arc::default(),
        },
    }
}

fn mode(forced: bool) -> WriteMode {
    if forced { WriteMode::Forced } else { WriteMode::ByAuthority }
}

fn gone(partitions: &Partitions, states: &[PartitionState]) -> Vec<PartitionId> {
    if !partitions.complete {
        return Vec::new();
    }
    let listed = |id: &PartitionId| partitions.list.iter().any(|partition| partition.id == *id);
    states.iter().filter(|state| !listed(&state.partition)).map(|state| state.partition.clone()).collect()
}

fn choose(list: Vec<Partition>, wanted: Option<&[PartitionId]>) -> Result<Vec<Partition>> {
    let Some(wanted) = wanted else { return Ok(list) };
    if let Some(unknown) = wanted.iter().find(|id| !list.iter().any(|partition| partition.id == **id)) {
        let known = list.iter().map(|partition| partition.id.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::config("pull", format!("there is no partition {unknown}; there are: {known}")));
    }
    Ok(list.into_iter().filter(|partition| wanted.contains(&partition.id)).collect())
}

/// The number of the scan a run begins, and of the one it begins anew when a position has expired. No two scans share one, so that
/// what one has seen never counts for another.
pub(crate) fn scan_of(run: RunId, anew: bool) -> u64 {
    run.0.unsigned_abs() * 2 + u64::from(anew)
}

/// Where a partition goes on: at the token of the same kind of scan while it lives, else at the cursor, else at the beginning. One that
/// was gone begins anew, since its rows may have been deleted; a limited read is no scan and leaves what others have seen alone.
fn lane(partition: Partition, states: &[PartitionState], full: bool, limited: bool, run: RunId, now: DateTime<Utc>) -> LaneCourse {
    let state = states.iter().find(|state| state.partition == partition.id && !state.gone);
    let cursor = state.filter(|_| !full).and_then(|state| state.cursor.clone());
    let started_by = |scan: u64| (scan != 0).then_some(scan);
    let token = state
        .filter(|_| !limited)
        .and_then(|state| state.page.as_ref().map(|(token, ends)| (token, ends, started_by(state.scan))))
        .filter(|(_, ends, scan)| **ends > now && scan.is_some() == cursor.is_none());
    match token {
        Some((token, _, scan)) => LaneCourse { partition, cursor, after: Some(token.clone()), scan },
        None => {
            let scan = (cursor.is_none() && !limited).then_some(scan_of(run, false));
            LaneCourse { partition, cursor, after: None, scan }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

    fn state(cursor: bool, page: Option<i64>, scan: u64) -> PartitionState {
        PartitionState {
            partition: "p".into(),
            cursor: cursor.then(|| Cursor::new(1, "at")),
            page: page.map(|seconds| ("token".into(), NOW + chrono::Duration::seconds(seconds))),
            scan,
            gone: false,
        }
    }

    #[test]
    fn a_partition_goes_on_at_a_living_token_of_the_same_kind_of_scan() {
        // stored state, full asked for, limited → (goes on at token, cursor used, scan)
        let cases = [
            (None, false, false, (false, false, Some(18))),
            (Some(state(true, None, 0)), false, false, (false, true, None)),
            (Some(state(true, None, 0)), true, false, (false, false, Some(18))),
            (Some(state(false, Some(60), 4)), false, false, (true, false, Some(4))),
            (Some(state(false, Some(0), 4)), false, false, (false, false, Some(18))),
            (Some(state(false, Some(60), 4)), false, true, (false, false, None)),
            (None, false, true, (false, false, None)),
            (Some(state(true, Some(60), 0)), false, false, (true, true, None)),
            (Some(state(true, Some(60), 0)), true, false, (false, false, Some(18))),
            (Some(PartitionState { gone: true, ..state(true, Some(60), 0) }), false, false, (false, false, Some(18))),
            (Some(state(true, Some(60), 4)), false, false, (false, true, None)),
            (Some(state(true, Some(60), 4)), true, false, (true, false, Some(4))),
        ];
        for (n, (state, full, limited, (token, cursor, scan))) in cases.into_iter().enumerate() {
            let states: Vec<_> = state.into_iter().collect();
            let course = lane(Partition::new("p"), &states, full, limited, RunId(9), NOW);
            assert_eq!((course.after.is_some(), course.cursor.is_some(), course.scan), (token, cursor, scan), "case {n}");
        }
    }

    #[test]
    fn entity_names_are_lower_case_words() {
        for (stream, entity) in [
            ("messages", "slack_messages"),
            ("US Gross 2024!", "slack_us_gross_2024"),
            ("  Öl & Gas", "slack_öl_gas"),
            ("A--b", "slack_a_b"),
        ] {
            assert_eq!(entity_of("slack", &stream.into()).as_str(), entity);
        }
    }

    #[test]
    fn only_a_complete_list_says_that_a_partition_is_gone() {
        let states = [state(true, None, 0)];
        let list = |complete| Partitions { list: vec![Partition::new("q")], complete };
        assert_eq!(gone(&list(true), &states), ["p".into()]);
        assert_eq!(gone(&list(false), &states), []);
    }
}
