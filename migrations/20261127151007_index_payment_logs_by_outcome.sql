-- no-transaction
-- For the administrators' list of calls to Stripe.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payment_logs_by_outcome ON payment_logs (outcome, id);
