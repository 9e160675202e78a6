-- The worker counts them each few seconds, for an alert; those that are under way have an index already.
CREATE INDEX refunds_outcome_unknown ON refunds (id) WHERE outcome_unknown;
