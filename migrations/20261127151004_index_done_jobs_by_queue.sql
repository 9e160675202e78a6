-- no-transaction
-- For the administrators' list of jobs. Those that are not done are found by the indexes that the queue has.
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_done_by_queue ON jobs (job_type, id) WHERE status = 'Done';
