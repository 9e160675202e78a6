-- no-transaction
-- What operators look for: orders of a status, the newest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_status ON orders (status, id DESC);
