// pg-boss on a queue of jobs that do nothing; as graphile_worker.mjs.
import PgBoss from 'pg-boss';

const { DATABASE_URL, JOBS, IN_FLIGHT, BATCHED, AT_ONCE } = process.env;
const boss = new PgBoss({ connectionString: DATABASE_URL, max: 14, supervise: false, schedule: false });
boss.on('error', (error) => console.error(error.message));
await boss.start();

if (process.argv[2] === 'fill') {
  await boss.createQueue('pass');
  const began = performance.now();
  for (let left = +JOBS; left > 0; left -= 500) {
    await boss.insert(Array.from({ length: Math.min(left, 500) }, (_, id) => ({ name: 'pass', data: { id } })));
  }
  console.log(`filled ${(+JOBS / (performance.now() - began)) * 1e3}`);
  process.exit(0);
}

console.log('ready');
await new Promise((go) => process.stdin.once('data', go));
process.stdin.on('end', () => process.exit(0));
let done = 0;
setInterval(() => console.log(`done ${done}`), 10);
// With BATCHED one fetches as many jobs as may be in flight and completes them together; else so many fetch one at a time.
const lanes = BATCHED ? 1 : +(AT_ONCE ?? 10);
const batchSize = BATCHED ? +IN_FLIGHT : 1;
await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (;;) {
      const jobs = await boss.fetch('pass', { batchSize });
      if (!jobs?.length) return;
      await boss.complete('pass', jobs.map((job) => job.id));
      done += jobs.length;
    }
  }),
);
