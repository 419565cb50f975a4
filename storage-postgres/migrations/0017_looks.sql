-- What the last run of a feed saw of its stream: the columns, JSON, and how many records the last read of everything brought. NULL: everything
-- was never read in one run. The JSON is kept as text, since a column's name may hold a NUL.
CREATE TABLE sync_looks (
    workspace_id text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    header text NOT NULL,
    records bigint,
    run_id bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, stream, mapping)
);
