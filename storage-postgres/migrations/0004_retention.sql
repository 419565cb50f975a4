-- Up to when a log was pruned. `pruned_before` stands from the first deletion on, `finished_before` when everything older is gone. Of
-- lineage that is older than the first nothing can be said; runs that ended before the second are named by no line. Of no tenant.
CREATE TABLE retention_marks (
    log text COLLATE "C" PRIMARY KEY,
    pruned_before timestamptz NOT NULL,
    finished_before timestamptz
);

-- Runs lie on the disk in the order they began.
CREATE INDEX sync_runs_age ON sync_runs USING brin (started_at);
