-- no-transaction
-- What operators look for: orders of some days.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_time ON orders (created_at);
