-- What sources say of fields that they are only a reference for; `value` is JSON text.
CREATE TABLE syncline_reference_values (
    workspace_id TEXT NOT NULL,
    type_id INTEGER NOT NULL,
    entity_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    mapping TEXT NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    run_id INTEGER NOT NULL,
    changed_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, type_id, entity_id, connection_id, mapping, field)
) WITHOUT ROWID;

-- What sources of truth say of fields that one of higher priority owns, kept only where sources of different priority meet. One that agrees
-- has a row too, so that it is known when the owner changes its mind. `live` is 0 when the source says nothing any more.
CREATE TABLE syncline_mapping_conflicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT NOT NULL,
    type_id INTEGER NOT NULL,
    entity_id TEXT NOT NULL,
    field TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    mapping TEXT NOT NULL,
    priority INTEGER NOT NULL,
    value TEXT NOT NULL,
    winner_connection_id TEXT,
    winner_mapping TEXT,
    winner_priority INTEGER NOT NULL,
    winning_value TEXT NOT NULL,
    rule TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'taken', 'settled')),
    accepted INTEGER NOT NULL,
    live INTEGER NOT NULL,
    run_id INTEGER NOT NULL,
    since TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    resolved_by TEXT,
    resolved_at TEXT,
    UNIQUE (workspace_id, type_id, entity_id, field, connection_id, mapping)
);
CREATE INDEX syncline_conflicts_by_state ON syncline_mapping_conflicts (workspace_id, state, id);
