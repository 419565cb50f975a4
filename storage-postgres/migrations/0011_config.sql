-- Every version of what people configure. `body` is NULL when it was deleted.
CREATE TABLE config_versions (
    workspace_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body jsonb,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    action text NOT NULL,
    PRIMARY KEY (workspace_id, kind, id, version)
);
