-- What decides about the changes of runs, and the mapping their values come through as it was then, JSON (`null` where there is none). Each
-- content is kept once; a run whose rules are not known has none.
CREATE TABLE syncline_lineage_rules (
    id INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    rule TEXT NOT NULL,
    mapping TEXT NOT NULL,
    UNIQUE (workspace_id, rule, mapping)
);
ALTER TABLE syncline_sync_runs ADD COLUMN lineage_rules INTEGER REFERENCES syncline_lineage_rules (id);
