-- Attempts to renew a token that failed: when the last one did that counts towards giving up, how many those were in a row, and of what kind
-- the last failure was. And of what kind it was that put the error message there. NULL: nothing failed, or it is not known.
ALTER TABLE syncline_integration_connections ADD COLUMN renewal_failed_at TEXT;
ALTER TABLE syncline_integration_connections ADD COLUMN renewal_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE syncline_integration_connections ADD COLUMN renewal_error_kind TEXT;
ALTER TABLE syncline_integration_connections ADD COLUMN error_kind TEXT;
