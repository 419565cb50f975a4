-- Keys of keyrings by id, so that another key under a known id is found out, and a retired one is not taken into use again. The keys
-- themselves stand nowhere in the database.
CREATE TABLE key_ring (
    id text COLLATE "C" PRIMARY KEY,
    check_value bytea NOT NULL,
    retired_at timestamptz
);
