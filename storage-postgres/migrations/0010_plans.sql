-- What runs would have done that only looked, kept until somebody applies it. `body` and the bodies of items are as core writes them: json,
-- since it keeps their text.
CREATE TABLE plans (
    workspace_id text COLLATE "C" NOT NULL,
    run_id bigint NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    entity_type text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'applied', 'partial', 'discarded')),
    body json NOT NULL,
    items bigint NOT NULL,
    changed_by text,
    changed_at timestamptz,
    applied_run bigint,
    PRIMARY KEY (workspace_id, run_id)
);

CREATE TABLE plan_items (
    workspace_id text COLLATE "C" NOT NULL,
    run_id bigint NOT NULL,
    no bigint NOT NULL,
    entity_id text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'applied', 'moved')),
    body json NOT NULL,
    PRIMARY KEY (workspace_id, run_id, no),
    FOREIGN KEY (workspace_id, run_id) REFERENCES plans (workspace_id, run_id) ON DELETE CASCADE
);
