// graphile-worker on a backlog of jobs that do nothing, as its own performance test sets it: many jobs fetched ahead, completions in
// batches. Prints the seconds from the first fetch until no job is left, by the database's clock.
import { run } from 'graphile-worker';
import pg from 'pg';

const count = Number(process.argv[2]);
const connectionString = process.env.DATABASE_URL;
const pool = new pg.Pool({ connectionString, max: 2 });

let done = 0;
const preset = {
  worker: {
    connectionString,
    concurrentJobs: 24,
    maxPoolSize: 10,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
};
const quiet = { preset, logger: await silent() };

async function silent() {
  const { Logger } = await import('graphile-worker');
  return new Logger(() => () => {});
}

const { runMigrations } = await import('graphile-worker');
await runMigrations(quiet);
await pool.query(
  `INSERT INTO graphile_worker._private_tasks (identifier) VALUES ('nothing') ON CONFLICT DO NOTHING`,
);
await pool.query(
  `INSERT INTO graphile_worker._private_jobs (task_id)
   SELECT tasks.id FROM graphile_worker._private_tasks tasks, generate_series(1, $1) WHERE identifier = 'nothing'`,
  [count],
);
await pool.query('VACUUM ANALYZE graphile_worker._private_jobs');

let began; // of the first fetch, as the database has written it into the jobs that it gave
const nothing = (_payload, { job }) => {
  began ??= job.locked_at;
  done += 1;
};
const runner = await run({ ...quiet, taskList: { nothing } });
let seen;
do {
  await new Promise((resolve) => setTimeout(resolve, 5));
  seen = done < count ? undefined : await look();
} while (seen === undefined || seen.left > 0);
await runner.stop();
await pool.end();
console.log(JSON.stringify({ jobs: done, seconds: seen.seconds }));

async function look() {
  const found = await pool.query(
    `SELECT count(*)::integer AS left, extract(epoch FROM now() - $1::timestamptz)::float8 AS seconds
     FROM graphile_worker._private_jobs`,
    [began],
  );
  return found.rows[0];
}
