-- Which trace (W3C Trace Context) this is part of; its request is there already.
ALTER TABLE order_events ADD COLUMN trace_id text;
