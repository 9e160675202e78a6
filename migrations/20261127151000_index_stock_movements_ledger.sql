-- no-transaction
-- The ledger as of some time, and its sum, from the index alone. Its beginning, stock_movements_by_product, goes a release later: a release's
-- own migrations take nothing away that the release before it reads.
CREATE INDEX CONCURRENTLY IF NOT EXISTS stock_movements_ledger ON stock_movements (product_id, created_at, id) INCLUDE (delta);
