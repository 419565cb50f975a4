-- Fields whose values are nobody's business, by the names of their entity types, in small letters. Once marked they stay so.
CREATE TABLE syncline_sensitive_fields (
    workspace_id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    field TEXT NOT NULL,
    PRIMARY KEY (workspace_id, entity_type, field)
) WITHOUT ROWID;

-- What the values of such fields are hashed with in lineage: the two pads of HMAC-SHA-256. It goes with its workspace.
CREATE TABLE syncline_lineage_keys (
    workspace_id TEXT PRIMARY KEY,
    inner_pad BLOB NOT NULL,
    outer_pad BLOB NOT NULL
) WITHOUT ROWID;
