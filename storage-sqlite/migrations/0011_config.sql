-- Every version of what people configure. `body` is NULL when it was deleted.
CREATE TABLE syncline_config_versions (
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT,
    changed_by TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    action TEXT NOT NULL,
    PRIMARY KEY (workspace_id, kind, id, version)
) WITHOUT ROWID;
