-- no-transaction
-- For the administrators' list of events.
CREATE INDEX CONCURRENTLY IF NOT EXISTS webhook_logs_by_status ON webhook_logs (status, type, id);
