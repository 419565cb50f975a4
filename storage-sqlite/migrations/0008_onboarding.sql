-- How far users have come, from the first page to the first data.
CREATE TABLE syncline_onboarding_progress (
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    services_connected INTEGER NOT NULL,
    current_step TEXT NOT NULL CHECK (current_step IN ('welcome', 'connect_services', 'first_sync', 'completed')),
    first_sync_completed INTEGER NOT NULL,
    completed_at TEXT,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
) WITHOUT ROWID;

-- Events that belong to no run: NULL. The table keeps its place, so that no number is given again.
ALTER TABLE syncline_sync_events ADD COLUMN of_run INTEGER;
UPDATE syncline_sync_events SET of_run = run_id;
ALTER TABLE syncline_sync_events DROP COLUMN run_id;
ALTER TABLE syncline_sync_events RENAME COLUMN of_run TO run_id;
