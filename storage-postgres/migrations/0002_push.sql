-- What was pushed, what is under way, and what was refused.

ALTER TABLE sync_runs ADD COLUMN rows_unsettled bigint NOT NULL DEFAULT 0;
ALTER TABLE sync_runs ADD COLUMN exclusive boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX sync_runs_one_exclusive ON sync_runs (workspace_id, connection_id) WHERE exclusive AND status = 'running';

-- Feeds as they stand in the rows and keys of what follows: a number, so that a hundred thousand links do not repeat three texts.
CREATE TABLE push_feeds (
    workspace_id text COLLATE "C" NOT NULL,
    no bigint GENERATED ALWAYS AS IDENTITY,
    connection_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, no),
    UNIQUE (workspace_id, connection_id, stream, mapping)
);

-- What is known of a row at the service. `content_hash` is that of the content both sides agreed on last, NULL when they differ.
CREATE TABLE push_links (
    workspace_id text COLLATE "C" NOT NULL,
    feed_no bigint NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    external_id text COLLATE "C",
    content_hash bigint,
    version text,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, feed_no, entity_id),
    FOREIGN KEY (workspace_id, feed_no) REFERENCES push_feeds (workspace_id, no)
);
CREATE INDEX push_links_to ON push_links (workspace_id, feed_no, external_id) WHERE external_id IS NOT NULL;

-- Writes from before they leave until the service has confirmed them.
CREATE TABLE push_intents (
    workspace_id text COLLATE "C" NOT NULL,
    feed_no bigint NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    marker text NOT NULL,
    operation text NOT NULL,
    fields text NOT NULL,
    content_hash bigint NOT NULL,
    external_id text COLLATE "C",
    version text,
    state text NOT NULL CHECK (state IN ('sending', 'unknown', 'pending', 'failed', 'conflict')),
    attempts bigint NOT NULL,
    sent_at timestamptz NOT NULL,
    looks bigint NOT NULL,
    looked_at timestamptz,
    next_at timestamptz,
    handle text,
    error jsonb,
    run_id bigint NOT NULL,
    PRIMARY KEY (workspace_id, feed_no, entity_id),
    FOREIGN KEY (workspace_id, feed_no) REFERENCES push_feeds (workspace_id, no)
);

-- What a feed's pushes remember from one run to the next.
CREATE TABLE push_memory (
    workspace_id text COLLATE "C" NOT NULL,
    feed_no bigint NOT NULL,
    shape jsonb,
    version text,
    PRIMARY KEY (workspace_id, feed_no),
    FOREIGN KEY (workspace_id, feed_no) REFERENCES push_feeds (workspace_id, no)
);
