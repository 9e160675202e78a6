-- An act belongs to the trace of the request that asked for it, like all that follows from it.
ALTER TABLE audit_log ADD COLUMN trace_id text;
