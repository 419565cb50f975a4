-- Clients of a workspace, and the accounts at services that are theirs: each of one client.
CREATE TABLE clients (
    workspace_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    industry text,
    status text,
    website text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE client_accounts (
    workspace_id text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    position integer NOT NULL,
    name text,
    PRIMARY KEY (workspace_id, provider, account_id),
    FOREIGN KEY (workspace_id, client_id) REFERENCES clients (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX client_accounts_of ON client_accounts (workspace_id, client_id, position);
