-- Up to when a log was pruned: of lineage that is older than this nothing can be said any more. Of no tenant.
CREATE TABLE retention_marks (
    log text COLLATE "C" PRIMARY KEY,
    pruned_before timestamptz NOT NULL
);
