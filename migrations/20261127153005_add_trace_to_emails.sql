-- Which trace (W3C Trace Context) and which request this is part of, so that one search finds a whole purchase.
ALTER TABLE emails ADD COLUMN request_id text, ADD COLUMN trace_id text;
