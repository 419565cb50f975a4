-- What sources say of fields that they are only a reference for; `value` is JSON text.
CREATE TABLE reference_values (
    workspace_id text COLLATE "C" NOT NULL,
    type_id bigint NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text NOT NULL,
    run_id bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, type_id, entity_id, connection_id, mapping, field)
);

-- What sources of truth say of fields that one of higher priority owns, kept only where sources of different priority meet. One that agrees
-- has a row too, so that it is known when the owner changes its mind. `live` is false when the source says nothing any more.
CREATE TABLE mapping_conflicts (
    workspace_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    type_id bigint NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    priority integer NOT NULL,
    value text NOT NULL,
    winner_connection_id text,
    winner_mapping text,
    winner_priority integer NOT NULL,
    winning_value text NOT NULL,
    rule text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'accepted', 'taken', 'settled')),
    accepted boolean NOT NULL,
    live boolean NOT NULL,
    run_id bigint NOT NULL,
    since timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    resolved_by text,
    resolved_at timestamptz,
    PRIMARY KEY (workspace_id, type_id, entity_id, field, connection_id, mapping)
);
CREATE UNIQUE INDEX mapping_conflicts_by_number ON mapping_conflicts (workspace_id, id);
CREATE INDEX mapping_conflicts_by_state ON mapping_conflicts (workspace_id, state, id);
