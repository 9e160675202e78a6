-- A job, from its fetch to its completion, in two statements of one row each, on the shop's own table and indexes.
UPDATE jobs SET status = 'Running', attempts = attempts + 1, lock_by = 'pgbench', lock_at = now(),
       lease_until = now() + make_interval(secs => 30)
WHERE id = (
  SELECT id FROM jobs WHERE status = 'Pending' AND crashes < 2 AND job_type = 'bench.nothing' AND run_at <= now()
  ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id AS job, attempts AS attempt
\gset
UPDATE jobs SET status = 'Done', done_at = clock_timestamp(), lease_until = NULL, lock_by = NULL
WHERE id = :job AND attempts = :attempt AND lock_by IS NOT NULL;
