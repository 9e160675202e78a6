-- no-transaction
-- A run's differences, the newest first. Its beginning, reconciliation_differences_by_run, goes a release later.
CREATE INDEX CONCURRENTLY IF NOT EXISTS reconciliation_differences_of_run ON reconciliation_differences (run_id, id);
