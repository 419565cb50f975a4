-- Fields whose values are nobody's business, by the names of their entity types, in small letters. Once marked they stay so.
CREATE TABLE sensitive_fields (
    workspace_id text COLLATE "C" NOT NULL,
    entity_type text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, entity_type, field)
);

-- What the values of such fields are hashed with in lineage: the two pads of HMAC-SHA-256. It goes with its workspace.
CREATE TABLE lineage_keys (
    workspace_id text COLLATE "C" PRIMARY KEY,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL
);

-- What lineage keeps of a value: its hash, null of null, and what is hidden already as it is. Its arguments are names of columns too, hence
-- the numbers.
CREATE FUNCTION hidden(workspace text, value json) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE
        WHEN $2 IS NULL THEN NULL
        WHEN pg_catalog.json_typeof($2) = 'null' THEN 'null'
        WHEN $2::text ~ '^\{"hidden": ?(null|"hmac-sha256:[0-9a-f]{64}")\}$' THEN $2::text
        ELSE coalesce((SELECT '{"hidden":"hmac-sha256:' || pg_catalog.encode(pg_catalog.sha256(k.outer_pad || pg_catalog.sha256(
            k.inner_pad || pg_catalog.convert_to($2::jsonb::text, 'UTF8'))), 'hex') || '"}' FROM lineage_keys k WHERE k.workspace_id = $1),
            '{"hidden":null}')
    END;

-- A line of lineage, `{"field": [old, new], …}`, with the values of these fields hidden.
CREATE FUNCTION hidden_line(workspace text, fields text[], changes json) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT coalesce('{' || pg_catalog.string_agg(pg_catalog.to_json(j.key)::text || ':' || CASE
            WHEN pg_catalog.lower(j.key COLLATE "C") = ANY ($2) THEN '[' || hidden($1, j.value -> 0) || ',' || hidden($1, j.value -> 1) || ']'
            ELSE j.value::text END, ',' ORDER BY j.n) || '}', '{}')::json
        FROM pg_catalog.json_each($3) WITH ORDINALITY AS j(key, value, n));
