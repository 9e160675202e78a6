// pg-boss on a backlog of jobs that do nothing: fetched and completed in batches, one after the other, without the pause that its own
// `work` makes between two looks. Prints the seconds from the first fetch until no job is left, by the database's clock.
import pg from 'pg';
import PgBoss from 'pg-boss';

const count = Number(process.argv[2]);
const batchSize = 500;
const connectionString = process.env.DATABASE_URL;
const pool = new pg.Pool({ connectionString, max: 1, idleTimeoutMillis: 0 });
const boss = new PgBoss({ connectionString, max: 10, supervise: false, schedule: false });
boss.on('error', (error) => {
  throw error;
});
await boss.start();
await boss.createQueue('nothing');
for (let sent = 0; sent < count; sent += 1000) {
  const jobs = Array.from({ length: Math.min(1000, count - sent) }, () => ({ name: 'nothing', data: {} }));
  await boss.insert(jobs);
}
await pool.query('VACUUM ANALYZE pgboss.job');

let done = 0;
let seconds;
async function work() {
  for (;;) {
    const jobs = await boss.fetch('nothing', { batchSize });
    if (jobs.length === 0) return;
    await boss.complete(
      'nothing',
      jobs.map((job) => job.id),
    );
    done += jobs.length;
    if (done === count) seconds = await sinceTheFirstFetch();
  }
}
await Promise.all(Array.from({ length: 4 }, work));
await pool.end();
await boss.stop({ graceful: false });
console.log(JSON.stringify({ jobs: done, seconds }));
process.exit(0);

async function sinceTheFirstFetch() {
  const found = await pool.query(
    `SELECT extract(epoch FROM now() - min(started_on))::float8 AS seconds FROM pgboss.job WHERE name = 'nothing'`,
  );
  return found.rows[0].seconds;
}
