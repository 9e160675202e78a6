-- Which trace (W3C Trace Context) and which request what happened is part of, so that one search finds a whole purchase.
ALTER TABLE jobs ADD COLUMN trace text;                 -- `traceparent`: 00-TRACE-SPAN-FLAGS
ALTER TABLE order_events ADD COLUMN trace_id text;
ALTER TABLE payment_logs ADD COLUMN request_id text, ADD COLUMN trace_id text;
ALTER TABLE webhook_logs ADD COLUMN request_id text, ADD COLUMN trace_id text;
ALTER TABLE stock_movements ADD COLUMN request_id text, ADD COLUMN trace_id text;
ALTER TABLE emails ADD COLUMN request_id text, ADD COLUMN trace_id text;
