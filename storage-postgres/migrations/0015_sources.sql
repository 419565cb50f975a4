-- What is read into what, by the names programs know it by: the latest versions of data sources and of the mappings of their tabs.
CREATE VIEW config_latest WITH (security_invoker = true) AS
SELECT v.workspace_id, v.kind, v.id, v.version, v.body, v.changed_by, v.changed_at,
    (SELECT min(f.changed_at) FROM config_versions f WHERE f.workspace_id = v.workspace_id AND f.kind = v.kind AND f.id = v.id) AS created_at
FROM config_versions v
WHERE v.body IS NOT NULL AND v.version = (SELECT max(l.version) FROM config_versions l
    WHERE l.workspace_id = v.workspace_id AND l.kind = v.kind AND l.id = v.id);

CREATE VIEW data_sources WITH (security_invoker = true) AS
SELECT workspace_id, id, body ->> 'type' AS type, body ->> 'name' AS name, body ->> 'connection_id' AS connection_id,
    body -> 'connector_config' AS connector_config, body ->> 'schedule' AS schedule, body ->> 'status' AS status, created_at,
    changed_at AS updated_at
FROM config_latest WHERE kind = 'data_source';

CREATE VIEW tab_mappings WITH (security_invoker = true) AS
SELECT workspace_id, id, body ->> 'data_source_id' AS data_source_id, body ->> 'tab_name' AS tab_name,
    body ->> 'primary_entity' AS primary_entity, body ->> 'status' AS status, (body ->> 'header_row')::bigint AS header_row,
    body ->> 'mode' AS mode, body -> 'policies' AS policies, created_at, changed_at AS updated_at
FROM config_latest WHERE kind = 'tab_mapping';

CREATE VIEW column_mappings WITH (security_invoker = true) AS
SELECT m.workspace_id, m.id || '/' || (c.value ->> 'target') AS id, m.id AS tab_mapping_id,
    coalesce(c.value ->> 'source', (c.value -> 'sources')::text, (c.value -> 'object')::text, (c.value -> 'value')::text) AS source_column,
    c.value ->> 'target' AS target_field, coalesce((c.value ->> 'key')::boolean, false) AS is_key,
    coalesce(c.value ->> 'authority', 'source_of_truth') AS authority, coalesce(c.value -> 'transforms', '[]') AS transforms,
    coalesce((c.value ->> 'priority')::bigint, 0) AS source_priority
FROM config_latest m CROSS JOIN LATERAL jsonb_array_elements(coalesce(m.body #> '{mapping,columns}', '[]')) c
WHERE m.kind = 'tab_mapping';

CREATE VIEW computed_fields WITH (security_invoker = true) AS
SELECT m.workspace_id, m.id || '/' || (c.value ->> 'target') AS id, m.id AS tab_mapping_id, m.body ->> 'primary_entity' AS entity_type,
    c.value ->> 'target' AS field, c.value ->> 'expression' AS expression, coalesce((c.value ->> 'priority')::bigint, 0) AS source_priority
FROM config_latest m CROSS JOIN LATERAL jsonb_array_elements(coalesce(m.body #> '{mapping,computed}', '[]')) c
WHERE m.kind = 'tab_mapping';
