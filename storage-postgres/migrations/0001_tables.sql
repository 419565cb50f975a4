-- Run with the search path on our schema alone. Every table of tenants starts with its workspace, and with it every key their rows are
-- found by: unique and foreign keys are checked past row security.

-- The one clock of leases. The setting is for tests, which cannot wait.
CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.clock_timestamp() + coalesce(nullif(pg_catalog.current_setting('syncline.clock_shift', true), ''), '0')::interval;

CREATE TABLE integration_connections (
    workspace_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    provider text NOT NULL,
    subject_id text,
    account_id text NOT NULL,
    account_name text,
    connected_by text,
    credentials_encrypted bytea,
    refresh_token_encrypted bytea,
    expires_at timestamptz,
    token_version bigint NOT NULL DEFAULT 0,
    oauth_provider text,
    settings jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'error', 'disconnected')),
    sync_enabled boolean NOT NULL DEFAULT true,
    sync_frequency_minutes bigint NOT NULL,
    last_sync_at timestamptz,
    sync_status text,
    error_message text,
    error_count bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    made bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, provider, account_id)
);

CREATE TABLE lineage_sources (
    workspace_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    source_id text NOT NULL,
    refs jsonb NOT NULL,
    content_hash bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX lineage_sources_by_content ON lineage_sources (workspace_id, content_hash);

-- `commits` counts the transactions of a run, so that one whose answer was lost can be told from one that never was.
CREATE TABLE sync_runs (
    workspace_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    data_source_id text,
    tab_mapping_id text,
    connection_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    entity_type text NOT NULL,
    direction text NOT NULL,
    job_type text NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
    outcome text,
    lease_token bigint NOT NULL,
    lease_until timestamptz,
    owner text NOT NULL,
    commits bigint NOT NULL DEFAULT 0,
    lineage_source bigint,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    rows_processed bigint NOT NULL DEFAULT 0,
    rows_created bigint NOT NULL DEFAULT 0,
    rows_updated bigint NOT NULL DEFAULT 0,
    rows_unchanged bigint NOT NULL DEFAULT 0,
    rows_skipped bigint NOT NULL DEFAULT 0,
    rows_failed bigint NOT NULL DEFAULT 0,
    rows_deleted bigint NOT NULL DEFAULT 0,
    rows_swept bigint NOT NULL DEFAULT 0,
    failures_seen bigint NOT NULL DEFAULT 0,
    errors jsonb NOT NULL DEFAULT '[]',
    triggered_by text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, lineage_source) REFERENCES lineage_sources (workspace_id, id)
);
CREATE UNIQUE INDEX sync_runs_one_running ON sync_runs (workspace_id, connection_id, stream) WHERE status = 'running';
CREATE INDEX sync_runs_leases ON sync_runs (lease_until) WHERE status = 'running';

CREATE VIEW integration_sync_logs WITH (security_invoker = true) AS
SELECT workspace_id, id, connection_id, direction, rows_created AS records_created, rows_updated AS records_updated,
    rows_failed AS records_failed, errors, (extract(epoch FROM completed_at - started_at) * 1000)::bigint AS duration_ms,
    started_at, completed_at
FROM sync_runs;

CREATE TABLE sync_failures (
    workspace_id text COLLATE "C" NOT NULL,
    run_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    "row" bigint,
    record text,
    "column" text,
    error text NOT NULL,
    severity text NOT NULL,
    PRIMARY KEY (workspace_id, run_id, id),
    FOREIGN KEY (workspace_id, run_id) REFERENCES sync_runs (workspace_id, id) ON DELETE CASCADE
);

-- Numbers of one workspace are given and committed in one order (its writers take turns), so that a reader never skips one.
CREATE TABLE sync_events (
    workspace_id text COLLATE "C" NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    run_id bigint NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);
CREATE INDEX sync_events_age ON sync_events USING brin (created_at);

CREATE TABLE sync_cursors (
    workspace_id text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    partition_id text COLLATE "C" NOT NULL,
    cursor_version integer,
    cursor_state text,
    page_token text,
    page_ends_at timestamptz,
    scan bigint NOT NULL DEFAULT 0,
    gone boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, stream, mapping, partition_id)
);

CREATE TABLE integration_activity (
    workspace_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    integration_name text NOT NULL,
    connection_id text,
    action text NOT NULL,
    success boolean NOT NULL,
    records_affected bigint NOT NULL,
    error_message text,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX integration_activity_age ON integration_activity USING brin (created_at);

-- Which tables hold entity types. `place` is what makes a row's key: 'stream', 'managed' or 'host'. Of no tenant, like the next one.
CREATE TABLE entity_types (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_type text COLLATE "C" NOT NULL UNIQUE,
    table_name text COLLATE "C" NOT NULL,
    place text NOT NULL CHECK (place IN ('stream', 'managed', 'host'))
);
CREATE UNIQUE INDEX entity_types_own_table ON entity_types (table_name) WHERE place <> 'host';

-- Which column holds which field of a managed table.
CREATE TABLE entity_columns (
    type_id bigint NOT NULL REFERENCES entity_types (id),
    id bigint GENERATED ALWAYS AS IDENTITY,
    field text COLLATE "C" NOT NULL,
    column_name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    label text,
    PRIMARY KEY (type_id, id),
    UNIQUE (type_id, field)
);

-- Connections as they stand in the rows and keys of managed tables: a number, shorter than the id. 0 is the number in rows that are fed
-- through mappings, which belong to no connection.
CREATE TABLE connection_numbers (
    workspace_id text COLLATE "C" NOT NULL,
    no bigint GENERATED ALWAYS AS IDENTITY,
    connection_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, no),
    UNIQUE (workspace_id, connection_id)
);

-- Tables of the host, as each workspace registered them.
CREATE TABLE host_tables (
    workspace_id text COLLATE "C" NOT NULL,
    entity_type text COLLATE "C" NOT NULL,
    spec jsonb NOT NULL,
    PRIMARY KEY (workspace_id, entity_type)
);

-- Which record of a feed stands behind which entity. A record whose key field changed has two, until a scan proves one gone.
CREATE TABLE record_links (
    workspace_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    connection_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    partition_id text COLLATE "C" NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    type_id bigint NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, stream, mapping, external_id, type_id, entity_id)
);
CREATE UNIQUE INDEX record_links_by_number ON record_links (workspace_id, id);
CREATE INDEX record_links_to ON record_links (workspace_id, type_id, entity_id);

-- Who set a field, kept only where sources of different priority meet.
CREATE TABLE field_owners (
    workspace_id text COLLATE "C" NOT NULL,
    type_id bigint NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    priority integer NOT NULL,
    connection_id text NOT NULL,
    mapping text NOT NULL,
    PRIMARY KEY (workspace_id, type_id, entity_id, field)
);

-- The last scan of each partition, and what it has shown so far: numbers of rows, or of links, a list for each commit.
CREATE TABLE scans (
    workspace_id text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    partition_id text COLLATE "C" NOT NULL,
    scan bigint NOT NULL,
    swept boolean NOT NULL DEFAULT false,
    PRIMARY KEY (workspace_id, connection_id, stream, mapping, partition_id)
);
CREATE TABLE scan_seen (
    workspace_id text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    partition_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    scan bigint NOT NULL,
    numbers bytea NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, stream, mapping, partition_id, id),
    FOREIGN KEY (workspace_id, connection_id, stream, mapping, partition_id)
        REFERENCES scans (workspace_id, connection_id, stream, mapping, partition_id) ON DELETE CASCADE
);

-- One line for each change of a row. `changes` is {"field": [old, new], …}. The creation of a managed row has no line: its run stands in
-- the row, and in the line of its deletion.
CREATE TABLE lineage_entries (
    workspace_id text COLLATE "C" NOT NULL,
    type_id bigint NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    run_id bigint NOT NULL,
    op "char" NOT NULL,
    changes json NOT NULL,
    changed_at timestamptz NOT NULL,
    created_run bigint,
    created_at timestamptz,
    PRIMARY KEY (workspace_id, type_id, entity_id, seq)
);
-- Lines are written run after run, so their numbers and times lie in order on the disk.
CREATE INDEX lineage_entries_of_run ON lineage_entries USING brin (run_id, changed_at);
