//! What operators see of calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use metrics::{Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use sync_testkit::Fault;

use crate::shop::{LIST, list, read, setup};

/// Sums and observations by name and labels.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<BTreeMap<String, Vec<f64>>>>);

struct Series(Sums, String);

impl Series {
    fn add(&self, value: f64) {
        self.0.0.lock().expect("not poisoned").entry(self.1.clone()).or_default().push(value);
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, value: u64) {
        self.add(value as f64);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Sums {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Series(self.clone(), format!("{} {}", key.name(), labels.join(" "))))
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

#[test]
fn every_attempt_is_counted_by_provider_operation_and_outcome() {
    let sums = Sums::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    metrics::with_local_recorder(&sums, || {
        let s = setup();
        s.shop.faults().push(LIST, Fault::rate_limited(3));
        s.shop.faults().push(LIST, Fault::Slow(std::time::Duration::from_secs(31)));
        runtime.block_on(s.api.fetch(&s.cx, list(), read)).expect("the third attempt");
    });
    let found: Vec<(String, usize, f64)> =
        sums.0.lock().expect("not poisoned").iter().map(|(name, values)| (name.clone(), values.len(), values.iter().sum())).collect();
    let at = "provider=shop operation=shop.items.list";
    let body = r#"{"items":[1,2]}"#.len() as f64;
    let expected = [
        (format!("syncline_call_bytes_total {at}"), 3, body),
        (format!("syncline_call_seconds {at}"), 3, 30.0),
        (format!("syncline_calls_total {at} outcome=ok"), 1, 1.0),
        (format!("syncline_calls_total {at} outcome=rate_limited"), 1, 1.0),
        (format!("syncline_calls_total {at} outcome=transport"), 1, 1.0),
        (format!("syncline_retries_total {at} reason=rate_limited"), 1, 1.0),
        (format!("syncline_retries_total {at} reason=transport"), 1, 1.0),
    ];
    assert_eq!(found, expected);
}
