-- The OAuth client a connection's tokens were given to: no other can renew them. NULL: not known, or none takes part.
ALTER TABLE syncline_integration_connections ADD COLUMN grant_client_id TEXT;
-- The client a browser was sent away with. NULL: begun before this was kept.
ALTER TABLE syncline_oauth_states ADD COLUMN client_id TEXT;
