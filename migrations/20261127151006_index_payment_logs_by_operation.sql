-- no-transaction
-- For the administrators' list of calls to Stripe.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payment_logs_by_operation ON payment_logs (operation, id);
