-- How often keys were used for sealing, over all processes: reserved in steps, so it may be more than was sealed, and is never less.
ALTER TABLE syncline_key_ring ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;

-- Tokens to be renewed ahead of their end, over all workspaces.
CREATE INDEX syncline_connections_by_end ON syncline_integration_connections (expires_at, workspace_id, id)
    WHERE status = 'active' AND grant_kind IS NOT NULL AND renewal_refused_at IS NULL AND expires_at IS NOT NULL;
