-- Attempts to renew a token that failed: when the last one did that counts towards giving up, how many those were in a row, and of what kind
-- the last failure was. And of what kind it was that put the error message there. NULL: nothing failed, or it is not known.
ALTER TABLE integration_connections
    ADD COLUMN renewal_failed_at timestamptz,
    ADD COLUMN renewal_failures bigint NOT NULL DEFAULT 0,
    ADD COLUMN renewal_error_kind text,
    ADD COLUMN error_kind text;
