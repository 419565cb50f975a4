-- What renewing a connection's token needs. NULL in `grant_kind`: there is nothing to get a new token with. NULL in `granted_scopes`: the
-- service did not say, or there are no credentials. NULL in the times: the last attempt did not fail, nobody has to wait, none is under way.
ALTER TABLE integration_connections
    ADD COLUMN grant_kind text CHECK (grant_kind IN ('refresh_token', 'client_credentials', 'service_account')),
    ADD COLUMN granted_scopes text[],
    ADD COLUMN renewal_failing_since timestamptz,
    ADD COLUMN renewal_not_before timestamptz,
    ADD COLUMN renewal_underway_since timestamptz,
    ADD COLUMN renewal_refused_at timestamptz,
    -- With `expires_at` it tells how long a token lives. NULL is unknown.
    ADD COLUMN token_issued_at timestamptz;

-- Authorizations that wait for the browser to come back. A row is deleted when it does, before anything else is done with it.
CREATE TABLE oauth_states (
    workspace_id text COLLATE "C" NOT NULL,
    nonce text COLLATE "C" NOT NULL,
    provider text NOT NULL,
    browser_hash bytea NOT NULL,
    verifier_encrypted bytea NOT NULL,
    redirect_uri text NOT NULL,
    request jsonb NOT NULL,
    begun_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, nonce)
);

-- Clients that workspaces registered themselves. NULL in `secret_encrypted`: a public client.
CREATE TABLE oauth_clients (
    workspace_id text COLLATE "C" NOT NULL,
    authority text COLLATE "C" NOT NULL,
    client_id text NOT NULL,
    secret_encrypted bytea,
    redirect_uri text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, authority)
);

-- Who may do what only one may do at a time, and until when. A row whose time is over holds nobody up.
CREATE TABLE leases (
    workspace_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, name)
);
