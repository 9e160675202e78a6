-- What administrators list, the newest first: ids are UUIDv7, so that their order is that of time. Each filter has an index that a page
-- can be read from; where two are asked for at once, the one that leaves less is read.

-- The ledger as of some time, and its sum, from the index alone.
CREATE INDEX stock_movements_ledger ON stock_movements (product_id, created_at, id) INCLUDE (delta);
DROP INDEX stock_movements_by_product; -- its beginning

-- The beginning of an e-mail, whatever the collation.
CREATE INDEX users_by_email_beginning ON users (lower(email::text) text_pattern_ops);
CREATE INDEX users_admins ON users (id) WHERE role = 'admin';

CREATE INDEX webhook_logs_by_status ON webhook_logs (status, type, id);
CREATE INDEX webhook_logs_by_type ON webhook_logs (type, id);

-- Those that are not done are found by the indexes that the queue has.
CREATE INDEX jobs_done_by_queue ON jobs (job_type, id) WHERE status = 'Done';
CREATE INDEX jobs_dead_by_id ON jobs (id) WHERE status = 'Killed';

CREATE INDEX payment_logs_by_operation ON payment_logs (operation, id);
CREATE INDEX payment_logs_by_outcome ON payment_logs (outcome, id);
CREATE INDEX payment_logs_by_error ON payment_logs (error_type, id) WHERE error_type IS NOT NULL;

CREATE INDEX emails_by_status ON emails (status, kind, id);
CREATE INDEX emails_by_kind ON emails (kind, id);

-- A run's differences, the newest first.
CREATE INDEX reconciliation_differences_of_run ON reconciliation_differences (run_id, id);
DROP INDEX reconciliation_differences_by_run; -- its beginning
