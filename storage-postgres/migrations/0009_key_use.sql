-- How often keys were used for sealing, over all processes: reserved in steps, so it may be more than was sealed, and is never less.
ALTER TABLE key_ring ADD COLUMN uses bigint NOT NULL DEFAULT 0;

-- Tokens to be renewed ahead of their end, over all workspaces.
CREATE INDEX connections_by_end ON integration_connections (expires_at, workspace_id, id)
    WHERE status = 'active' AND grant_kind IS NOT NULL AND renewal_refused_at IS NULL AND expires_at IS NOT NULL;
