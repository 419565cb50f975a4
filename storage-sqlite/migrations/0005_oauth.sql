-- What renewing a connection's token needs. NULL in `grant_kind`: there is nothing to get a new token with. NULL in `granted_scopes` (a
-- JSON list): the service did not say, or there are no credentials. NULL in the times: the last attempt did not fail, nobody has to wait,
-- none is under way.
ALTER TABLE syncline_integration_connections ADD COLUMN grant_kind TEXT
    CHECK (grant_kind IN ('refresh_token', 'client_credentials', 'service_account'));
ALTER TABLE syncline_integration_connections ADD COLUMN granted_scopes TEXT;
ALTER TABLE syncline_integration_connections ADD COLUMN renewal_failing_since TEXT;
ALTER TABLE syncline_integration_connections ADD COLUMN renewal_not_before TEXT;
ALTER TABLE syncline_integration_connections ADD COLUMN renewal_underway_since TEXT;
ALTER TABLE syncline_integration_connections ADD COLUMN renewal_refused_at TEXT;
-- With `expires_at` it tells how long a token lives. NULL is unknown.
ALTER TABLE syncline_integration_connections ADD COLUMN token_issued_at TEXT;

-- Authorizations that wait for the browser to come back. A row is deleted when it does, before anything else is done with it.
CREATE TABLE syncline_oauth_states (
    workspace_id TEXT NOT NULL,
    nonce TEXT NOT NULL,
    provider TEXT NOT NULL,
    browser_hash BLOB NOT NULL,
    verifier_encrypted BLOB NOT NULL,
    redirect_uri TEXT NOT NULL,
    request TEXT NOT NULL,
    begun_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, nonce)
) WITHOUT ROWID;

-- Clients that workspaces registered themselves. NULL in `secret_encrypted`: a public client.
CREATE TABLE syncline_oauth_clients (
    workspace_id TEXT NOT NULL,
    authority TEXT NOT NULL,
    client_id TEXT NOT NULL,
    secret_encrypted BLOB,
    redirect_uri TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, authority)
) WITHOUT ROWID;

-- Who may do what only one may do at a time, and until when. A row whose time is over holds nobody up.
CREATE TABLE syncline_leases (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    until TEXT NOT NULL,
    PRIMARY KEY (workspace_id, name)
) WITHOUT ROWID;
