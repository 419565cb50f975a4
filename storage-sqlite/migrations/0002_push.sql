-- What was pushed, what is under way, and what was refused.

ALTER TABLE syncline_sync_runs ADD COLUMN rows_unsettled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE syncline_sync_runs ADD COLUMN exclusive INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX syncline_one_exclusive ON syncline_sync_runs (workspace_id, connection_id) WHERE exclusive = 1 AND status = 'running';

-- Feeds as they stand in the rows and keys of what follows: a number, so that a hundred thousand links do not repeat three texts.
CREATE TABLE syncline_push_feeds (
    no INTEGER PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    mapping TEXT NOT NULL,
    UNIQUE (workspace_id, connection_id, stream, mapping)
);

-- What is known of a row at the service. `content_hash` is that of the content both sides agreed on last, NULL when they differ.
CREATE TABLE syncline_push_links (
    workspace_id TEXT NOT NULL,
    feed_no INTEGER NOT NULL REFERENCES syncline_push_feeds (no),
    entity_key TEXT NOT NULL,
    external_id TEXT,
    content_hash INTEGER,
    version TEXT,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, feed_no, entity_key)
) WITHOUT ROWID;
CREATE INDEX syncline_push_links_to ON syncline_push_links (workspace_id, feed_no, external_id) WHERE external_id IS NOT NULL;

-- Writes from before they leave until the service has confirmed them.
CREATE TABLE syncline_push_intents (
    workspace_id TEXT NOT NULL,
    feed_no INTEGER NOT NULL REFERENCES syncline_push_feeds (no),
    entity_key TEXT NOT NULL,
    marker TEXT NOT NULL,
    operation TEXT NOT NULL,
    fields TEXT NOT NULL,
    content_hash INTEGER NOT NULL,
    external_id TEXT,
    version TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    sent_at TEXT NOT NULL,
    looks INTEGER NOT NULL,
    looked_at TEXT,
    next_at TEXT,
    handle TEXT,
    error TEXT,
    run_id INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, feed_no, entity_key)
);

-- What a feed's pushes remember from one run to the next.
CREATE TABLE syncline_push_memory (
    workspace_id TEXT NOT NULL,
    feed_no INTEGER NOT NULL REFERENCES syncline_push_feeds (no),
    shape TEXT,
    version TEXT,
    PRIMARY KEY (workspace_id, feed_no)
) WITHOUT ROWID;
