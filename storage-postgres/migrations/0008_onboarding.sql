-- How far users have come, from the first page to the first data.
CREATE TABLE onboarding_progress (
    workspace_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    services_connected bigint NOT NULL,
    current_step text NOT NULL CHECK (current_step IN ('welcome', 'connect_services', 'first_sync', 'completed')),
    first_sync_completed boolean NOT NULL,
    completed_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);

-- Events that belong to no run: NULL.
ALTER TABLE sync_events ALTER COLUMN run_id DROP NOT NULL;
