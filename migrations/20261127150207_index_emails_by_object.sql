-- no-transaction
-- For the timeline of an order.
CREATE INDEX CONCURRENTLY IF NOT EXISTS emails_by_object ON emails (object_id);
