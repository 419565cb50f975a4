-- In which mode a write was begun: it is repeated in the same one, whatever the run that repeats it does.
ALTER TABLE push_intents ADD COLUMN mode text NOT NULL DEFAULT 'upsert';
