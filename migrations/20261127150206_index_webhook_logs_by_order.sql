-- no-transaction
-- For the timeline of an order.
CREATE INDEX CONCURRENTLY IF NOT EXISTS webhook_logs_by_order ON webhook_logs (order_id) WHERE order_id IS NOT NULL;
