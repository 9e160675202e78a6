-- no-transaction
-- For the administrators' list of events.
CREATE INDEX CONCURRENTLY IF NOT EXISTS webhook_logs_by_type ON webhook_logs (type, id);
