//! The activity log.

use serde_json::json;
use sync_core::store::NewActivity;

use super::{
    Check,
    check::Looked,
    scene::{Scene, at},
};

pub(super) const CHECKS: &[Check] = &[check!(
    activity_is_listed_newest_first,
    "The activity log answers the newest rows first, with all they say, and never more than asked for"
)];

async fn activity_is_listed_newest_first(scene: Scene) -> Looked {
    let acme = scene.acme();
    for n in 0..4 {
        let activity = NewActivity {
            integration: "slack".into(),
            connection: (n > 0).then(|| "c1".into()),
            action: format!("action {n}").into(),
            success: n % 2 == 0,
            records_affected: n,
            error: (n % 2 == 1).then(|| "why".into()),
            metadata: json!({"n": n, "text": "Zoë"}),
            at: at(n as i64),
        };
        acme.log_activity(activity).await?;
    }
    let all = acme.activities(100).await?;
    same!(all.len(), 4, "rows");
    for (row, n) in all.iter().zip([3, 2, 1, 0]) {
        same!((&*row.integration_name, &*row.action), ("slack", &*format!("action {n}")), "what was done");
        same!(row.connection_id, (n > 0).then(|| "c1".into()), "with which connection");
        same!(
            (row.success, row.records_affected, row.error_message.as_deref()),
            (n % 2 == 0, n, (n % 2 == 1).then_some("why")),
            "how it went"
        );
        same!((&row.metadata, row.created_at), (&json!({"n": n, "text": "Zoë"}), at(n as i64)), "what else, and when");
    }
    let two: Vec<_> = acme.activities(2).await?.into_iter().map(|row| row.id).collect();
    same!(two, [all[0].id, all[1].id], "the newest two");
    Ok(())
}
