-- The queue: one row per job, kept after its end. The columns that apalis-sql knows keep their names and words (`job_type` is the
-- queue, `status` 'Killed' is dead); the others are ours. docs/adr/0002 says why.
CREATE TABLE jobs (
  id          uuid PRIMARY KEY,
  job_type    text NOT NULL,                            -- the queue; its name is permanent
  job         jsonb NOT NULL,                           -- the payload: ids, never data
  status      text NOT NULL DEFAULT 'Pending' CHECK (status IN ('Pending', 'Running', 'Done', 'Killed')),
  attempts    integer NOT NULL DEFAULT 0,               -- counted when fetched: the fencing token
  failures    integer NOT NULL DEFAULT 0,               -- booked failures: they set the backoff
  crashes     integer NOT NULL DEFAULT 0,               -- attempts that ended without a booked outcome
  run_at      timestamptz NOT NULL,                     -- not before
  due_at      timestamptz NOT NULL,                     -- first due: its age counts from here
  lease_until timestamptz,
  lock_by     text,                                     -- the process that runs it
  lock_at     timestamptz,
  dedupe_key  text,
  request_id  text,                                     -- of the request that this follows from
  last_error  text,
  errors      jsonb NOT NULL DEFAULT '[]',              -- the latest failures and crashes: {attempt, at, error}
  done_at     timestamptz,                              -- the end: done or dead
  created_at  timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT jobs_leased_while_running
    CHECK ((status = 'Running') = (lock_by IS NOT NULL) AND (lock_by IS NULL) = (lease_until IS NULL)),
  CONSTRAINT jobs_ended_once CHECK ((status IN ('Done', 'Killed')) = (done_at IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 1000);

-- Fetching. A job that took down its process twice is fetched apart from the others.
CREATE INDEX jobs_due ON jobs (job_type, run_at) WHERE status = 'Pending' AND crashes < 2;
CREATE INDEX jobs_suspect ON jobs (job_type, run_at) WHERE status = 'Pending' AND crashes >= 2;
-- Rescue.
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE status = 'Running';
-- Listing and counting the dead.
CREATE INDEX jobs_dead ON jobs (job_type, done_at) WHERE status = 'Killed';
-- One unfinished job per key, so that a done or dead one swallows no later one. Finds the live job of an object, too.
CREATE UNIQUE INDEX jobs_one_live ON jobs (job_type, dedupe_key) WHERE done_at IS NULL;

-- The history of what went wrong with a job, without its oldest entries.
CREATE FUNCTION append_job_error(errors jsonb, attempt integer, error text) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_path_query_array(errors, '$[last - 18 to last]')
         || jsonb_build_array(jsonb_build_object('attempt', attempt, 'at', now(), 'error', error))
$$;
