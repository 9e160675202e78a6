-- no-transaction
-- For the administrators' list of calls to Stripe.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payment_logs_by_error ON payment_logs (error_type, id) WHERE error_type IS NOT NULL;
