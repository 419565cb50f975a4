//! The whole way over a real socket, with the transport hosts use.

mod support;

use provider_sheets::Sheets;
use serde_json::json;
use support::{Bench, record, removal};

#[tokio::test]
async fn a_tab_is_read_over_a_real_socket() {
    let mut bench = Bench::numbered(9);
    let served = bench.simulation.serve().await.expect("a free port");
    bench.sheets = Sheets::builder().base_url(&served.url).build().expect("loopback may be http");
    bench.sim().set_cell("T", 3, 2, "naïve “quotes”");
    let scan = bench.scan(json!({"rows_per_page": 4})).await.expect("reads");
    assert_eq!(scan.ids(), ["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"]);
    assert_eq!(scan.records[1].2["n"], "naïve “quotes”");
    assert!(scan.complete());
}

#[tokio::test]
async fn rows_are_written_over_a_real_socket() {
    let mut bench = Bench::numbered(3);
    let served = bench.simulation.serve().await.expect("a free port");
    bench.sheets = Sheets::builder().base_url(&served.url).build().expect("loopback may be http");
    let items = vec![record(&json!({"id": "r1", "n": "größer 👩‍🚀"})), record(&json!({"id": "r4", "n": 4})), removal("r2")];
    assert_eq!(bench.push(items).await, ["updated r1", "created r4", "deleted r2"]);
    assert_eq!(bench.rows(), ["id|n", "r1|größer 👩‍🚀", "r3|3", "r4|4"]);
}
