-- Clients of a workspace, and the accounts at services that are theirs: each of one client.
CREATE TABLE syncline_clients (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    industry TEXT,
    status TEXT,
    website TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) WITHOUT ROWID;

CREATE TABLE syncline_client_accounts (
    workspace_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    account_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    name TEXT,
    PRIMARY KEY (workspace_id, provider, account_id),
    FOREIGN KEY (workspace_id, client_id) REFERENCES syncline_clients (workspace_id, id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX syncline_accounts_of ON syncline_client_accounts (workspace_id, client_id, position);
