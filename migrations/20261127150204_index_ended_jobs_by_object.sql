-- no-transaction
-- For the timeline of an order. Jobs that live are found by jobs_one_live: a job enters this index once, at its end.
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_ended_by_object ON jobs (dedupe_key) WHERE done_at IS NOT NULL;
