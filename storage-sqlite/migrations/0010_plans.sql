-- What runs would have done that only looked, kept until somebody applies it. `body` and the bodies of items are JSON, as core writes them.
CREATE TABLE syncline_plans (
    workspace_id TEXT NOT NULL,
    run_id INTEGER NOT NULL,
    connection_id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'applied', 'partial', 'discarded')),
    body TEXT NOT NULL,
    items INTEGER NOT NULL,
    changed_by TEXT,
    changed_at TEXT,
    applied_run INTEGER,
    PRIMARY KEY (workspace_id, run_id)
) WITHOUT ROWID;

CREATE TABLE syncline_plan_items (
    workspace_id TEXT NOT NULL,
    run_id INTEGER NOT NULL,
    no INTEGER NOT NULL,
    entity_id TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'applied', 'moved')),
    body TEXT NOT NULL,
    PRIMARY KEY (workspace_id, run_id, no),
    FOREIGN KEY (workspace_id, run_id) REFERENCES syncline_plans (workspace_id, run_id) ON DELETE CASCADE
) WITHOUT ROWID;
