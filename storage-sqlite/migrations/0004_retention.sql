-- Up to when a log was pruned. `pruned_before` stands from the first deletion on, `finished_before` when everything older is gone. Of
-- lineage that is older than the first nothing can be said; runs that ended before the second are named by no line. Of no tenant.
CREATE TABLE syncline_retention_marks (
    log TEXT PRIMARY KEY,
    pruned_before TEXT NOT NULL,
    finished_before TEXT
) WITHOUT ROWID;

-- NULL in events from before this: those are as old as their runs.
ALTER TABLE syncline_sync_events ADD COLUMN created_at TEXT;
