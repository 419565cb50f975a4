-- Every table of ours starts with its workspace, and with it every key a tenant's rows are found by.

CREATE TABLE syncline_integration_connections (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    provider TEXT NOT NULL,
    subject_id TEXT,
    account_id TEXT NOT NULL,
    account_name TEXT,
    connected_by TEXT,
    credentials_encrypted BLOB,
    refresh_token_encrypted BLOB,
    expires_at TEXT,
    token_version INTEGER NOT NULL DEFAULT 0,
    oauth_provider TEXT,
    settings TEXT NOT NULL DEFAULT '{}',
    status TEXT NOT NULL DEFAULT 'active',
    sync_enabled INTEGER NOT NULL DEFAULT 1,
    sync_frequency_minutes INTEGER NOT NULL,
    last_sync_at TEXT,
    sync_status TEXT,
    error_message TEXT,
    error_count INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, provider, account_id)
);

CREATE TABLE syncline_lineage_sources (
    id INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    refs TEXT NOT NULL,
    UNIQUE (workspace_id, kind, source_id, refs)
);

CREATE TABLE syncline_sync_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT NOT NULL,
    data_source_id TEXT,
    tab_mapping_id TEXT,
    connection_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    mapping TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    direction TEXT NOT NULL,
    job_type TEXT NOT NULL,
    status TEXT NOT NULL,
    outcome TEXT,
    lease_token INTEGER NOT NULL,
    lease_until TEXT,
    owner TEXT NOT NULL,
    lineage_source INTEGER REFERENCES syncline_lineage_sources (id),
    started_at TEXT NOT NULL,
    completed_at TEXT,
    rows_processed INTEGER NOT NULL DEFAULT 0,
    rows_created INTEGER NOT NULL DEFAULT 0,
    rows_updated INTEGER NOT NULL DEFAULT 0,
    rows_unchanged INTEGER NOT NULL DEFAULT 0,
    rows_skipped INTEGER NOT NULL DEFAULT 0,
    rows_failed INTEGER NOT NULL DEFAULT 0,
    rows_deleted INTEGER NOT NULL DEFAULT 0,
    rows_swept INTEGER NOT NULL DEFAULT 0,
    failures_seen INTEGER NOT NULL DEFAULT 0,
    errors TEXT NOT NULL DEFAULT '[]',
    triggered_by TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX syncline_one_running ON syncline_sync_runs (workspace_id, connection_id, stream) WHERE status = 'running';
CREATE INDEX syncline_runs_of ON syncline_sync_runs (workspace_id, id);

CREATE VIEW syncline_integration_sync_logs AS
SELECT workspace_id, id, connection_id, direction, rows_created AS records_created, rows_updated AS records_updated,
    rows_failed AS records_failed, errors,
    CAST(round((julianday(completed_at) - julianday(started_at)) * 86400000) AS INTEGER) AS duration_ms, started_at, completed_at
FROM syncline_sync_runs;

CREATE TABLE syncline_sync_failures (
    id INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    run_id INTEGER NOT NULL,
    "row" INTEGER,
    record TEXT,
    "column" TEXT,
    error TEXT NOT NULL,
    severity TEXT NOT NULL
);
CREATE INDEX syncline_failures_of ON syncline_sync_failures (workspace_id, run_id);

CREATE TABLE syncline_sync_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT NOT NULL,
    run_id INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX syncline_events_of ON syncline_sync_events (workspace_id, seq);

CREATE TABLE syncline_sync_cursors (
    workspace_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    mapping TEXT NOT NULL,
    partition_id TEXT NOT NULL,
    cursor_version INTEGER,
    cursor_state TEXT,
    page_token TEXT,
    page_ends_at TEXT,
    scan INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, stream, mapping, partition_id)
);

CREATE TABLE syncline_integration_activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT NOT NULL,
    integration_name TEXT NOT NULL,
    connection_id TEXT,
    action TEXT NOT NULL,
    success INTEGER NOT NULL,
    records_affected INTEGER NOT NULL,
    error_message TEXT,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX syncline_activity_of ON syncline_integration_activity (workspace_id, id);

-- Which tables hold entity types. `place` is what makes a row's key: 'stream', 'managed' or 'host'.
CREATE TABLE syncline_entity_types (
    id INTEGER PRIMARY KEY,
    entity_type TEXT NOT NULL UNIQUE,
    table_name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    place TEXT NOT NULL
);

-- Which column holds which field. `kind` is NULL until the first value that is not null says it.
CREATE TABLE syncline_entity_columns (
    id INTEGER PRIMARY KEY,
    type_id INTEGER NOT NULL REFERENCES syncline_entity_types (id),
    field TEXT NOT NULL,
    column_name TEXT NOT NULL,
    kind TEXT,
    label TEXT,
    UNIQUE (type_id, field)
);

-- Connections as they stand in the rows and keys of managed tables: a number, since the id's text in every row and key costs a large
-- part of what a commit writes. 0 is the number in rows that are fed through mappings, which belong to no connection.
CREATE TABLE syncline_connection_numbers (
    no INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    UNIQUE (workspace_id, connection_id)
);

-- Tables of the host, as each workspace registered them.
CREATE TABLE syncline_host_tables (
    workspace_id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    spec TEXT NOT NULL,
    PRIMARY KEY (workspace_id, entity_type)
);

-- Which record of a feed stands behind which entity. A record whose key field changed has two, until a scan proves one gone.
CREATE TABLE syncline_record_links (
    id INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    mapping TEXT NOT NULL,
    partition_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    type_id INTEGER NOT NULL,
    entity_id TEXT NOT NULL,
    UNIQUE (workspace_id, connection_id, stream, mapping, external_id, type_id, entity_id)
);
CREATE INDEX syncline_links_to ON syncline_record_links (workspace_id, type_id, entity_id);

-- Who set a field, kept only where sources of different priority meet.
CREATE TABLE syncline_field_owners (
    workspace_id TEXT NOT NULL,
    type_id INTEGER NOT NULL,
    entity_id TEXT NOT NULL,
    field TEXT NOT NULL,
    priority INTEGER NOT NULL,
    connection_id TEXT NOT NULL,
    mapping TEXT NOT NULL,
    PRIMARY KEY (workspace_id, type_id, entity_id, field)
) WITHOUT ROWID;

-- One bit for each row a scan has shown, 32,768 to a chunk. Chunk -1 says that the scan was begun ('open') or already swept ('swept').
CREATE TABLE syncline_scan_seen (
    workspace_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    mapping TEXT NOT NULL,
    partition_id TEXT NOT NULL,
    scan INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, stream, mapping, partition_id, chunk)
);

-- One line for each change of a row. `changes` is {"field": [old, new], …}. The creation of a managed row has no line: its run
-- stands in the row, and in the line of its deletion.
CREATE TABLE syncline_lineage_entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT NOT NULL,
    type_id INTEGER NOT NULL,
    entity_id TEXT NOT NULL,
    run_id INTEGER NOT NULL,
    op TEXT NOT NULL,
    changes TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    created_run INTEGER,
    created_at TEXT
);
CREATE INDEX syncline_lineage_of ON syncline_lineage_entries (workspace_id, type_id, entity_id);
