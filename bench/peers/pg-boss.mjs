// pg-boss on a backlog of jobs that do nothing: fetched and completed in batches, one after the other, without the pause that its own
// `work` makes between two looks. Prints the seconds from the first fetch until no job is left.
import PgBoss from 'pg-boss';

const count = Number(process.argv[2]);
const batchSize = 500;
const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, max: 10, supervise: false, schedule: false });
boss.on('error', (error) => {
  throw error;
});
await boss.start();
await boss.createQueue('nothing');
for (let sent = 0; sent < count; sent += 1000) {
  const jobs = Array.from({ length: Math.min(1000, count - sent) }, () => ({ name: 'nothing', data: {} }));
  await boss.insert(jobs);
}

let done = 0;
const began = process.hrtime.bigint();
async function work() {
  for (;;) {
    const jobs = await boss.fetch('nothing', { batchSize });
    if (jobs.length === 0) return;
    await boss.complete(
      'nothing',
      jobs.map((job) => job.id),
    );
    done += jobs.length;
  }
}
await Promise.all(Array.from({ length: 4 }, work));
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
await boss.stop({ graceful: false });
console.log(JSON.stringify({ jobs: done, seconds }));
process.exit(0);
