/**
 * A process that appends facts to a job as fast as it can and says on its standard output which are acknowledged, until it
 * is killed. Arguments: the database, the vault, the job, and the ids of VMs that the job holds.
 */
import { writeSync } from 'node:fs';
import { openStore } from '../../control-plane/store/sqlite.ts';
import type { JobId, ProtectedVmId, VaultId } from '../../shared/ids.ts';
import { stepId } from './store-world.ts';

const [file, vaultId, jobId, ...vms] = process.argv.slice(2) as [string, VaultId, JobId, ...ProtectedVmId[]];
const store = await openStore({ file, defer: setImmediate });
for (let round = 0; ; round++) {
  const event = round % 2 === 0 ? 'failoverStarted' : 'failoverUndone';
  await Promise.all(
    vms.map(async (vm, n) => {
      const facts = ['a', 'b', 'c'].map((part) => ({
        type: 'started' as const,
        at: round,
        step: stepId(`${part}/${n}/${round}`),
        attempt: 1,
      }));
      await store.jobs.append(vaultId, jobId, facts, [{ vm, event }]);
      writeSync(1, `${n} ${round}\n`);
    }),
  );
}
