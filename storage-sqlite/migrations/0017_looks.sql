-- What the last run of a feed saw of its stream: the columns, JSON, and how many records the last read of everything brought. NULL: everything
-- was never read in one run.
CREATE TABLE syncline_sync_looks (
    workspace_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    mapping TEXT NOT NULL,
    header TEXT NOT NULL,
    records INTEGER,
    run_id INTEGER NOT NULL,
    seen_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, stream, mapping)
) WITHOUT ROWID;
