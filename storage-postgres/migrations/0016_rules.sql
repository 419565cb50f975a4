-- What decides about the changes of runs, and the mapping their values come through as it was then (`null` where there is none). Each content
-- is kept once; a run whose rules are not known has none.
CREATE TABLE lineage_rules (
    workspace_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    rule text NOT NULL,
    mapping jsonb NOT NULL,
    content_hash bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX lineage_rules_by_content ON lineage_rules (workspace_id, content_hash);
ALTER TABLE sync_runs ADD COLUMN lineage_rules bigint;
ALTER TABLE sync_runs ADD CONSTRAINT sync_runs_lineage_rules_fkey FOREIGN KEY (workspace_id, lineage_rules)
    REFERENCES lineage_rules (workspace_id, id);
