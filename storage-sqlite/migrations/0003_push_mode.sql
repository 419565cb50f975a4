-- The mode each write was begun in, so that it is tried again in the same one. Writes from before were upserts as far as anybody knows.

ALTER TABLE syncline_push_intents ADD COLUMN mode TEXT NOT NULL DEFAULT 'upsert';
