-- no-transaction
-- The worker counts them each few seconds, for an alert; those that are under way have an index already.
CREATE INDEX CONCURRENTLY IF NOT EXISTS refunds_outcome_unknown ON refunds (id) WHERE outcome_unknown;
