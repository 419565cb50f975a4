-- Keys of keyrings by id, so that another key under a known id is found out, and a retired one is not taken into use again. The keys
-- themselves stand nowhere in the database.
CREATE TABLE syncline_key_ring (
    id TEXT PRIMARY KEY,
    check_value BLOB NOT NULL,
    retired_at TEXT
) WITHOUT ROWID;
