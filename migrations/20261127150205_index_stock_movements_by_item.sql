-- no-transaction
-- For the timeline of an order.
CREATE INDEX CONCURRENTLY IF NOT EXISTS stock_movements_by_item ON stock_movements (order_item_id) WHERE order_item_id IS NOT NULL;
