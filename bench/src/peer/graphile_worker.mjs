// graphile-worker on a queue of jobs that do nothing. `fill` puts them in; `work` says "ready", begins at the first line of its
// input, and prints how many are done.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';

const { DATABASE_URL, JOBS, IN_FLIGHT, BATCHED, AT_ONCE } = process.env;
const logger = new Logger(() => () => {});
const pgPool = new pg.Pool({ connectionString: DATABASE_URL, max: 14 });
pgPool.on('error', () => {});
pgPool.on('connect', (client) => client.on('error', () => {}));

if (process.argv[2] === 'fill') {
  const utils = await makeWorkerUtils({ pgPool, logger });
  await utils.migrate();
  const began = performance.now();
  for (let left = +JOBS; left > 0; left -= 500) {
    await pgPool.query(
      `select graphile_worker.add_jobs((select array_agg(json_populate_record(null::graphile_worker.job_spec,
         json_build_object('identifier', 'pass', 'payload', json_build_object('id', i)))) from generate_series(1, $1::int) i))`,
      [Math.min(left, 500)],
    );
  }
  console.log(`filled ${(+JOBS / (performance.now() - began)) * 1e3}`);
  process.exit(0);
}

await pgPool.query('select 1');
console.log('ready');
await new Promise((go) => process.stdin.once('data', go));
process.stdin.on('end', () => process.exit(0));
let done = 0;
setInterval(() => console.log(`done ${done}`), 10);
// With BATCHED it fetches many jobs at a time and writes the ends of many at a time, which is off unless asked for.
const batched = { localQueue: { size: +IN_FLIGHT }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
const worker = { concurrentJobs: +(AT_ONCE ?? 10), pollInterval: 100, ...(BATCHED ? batched : {}) };
await run({ pgPool, preset: { worker }, noHandleSignals: true, logger, taskList: { pass: async () => void done++ } });
