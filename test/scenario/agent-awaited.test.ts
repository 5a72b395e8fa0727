/** An agent that goes away in the middle of a job: whoever looks at the job is told whom it waits for, and since when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationRequest } from '../../shared/api/operations.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { ApiWorld, succeed } from '../support/api-world.ts';

const HOUR = 3_600_000;

test('a job says whom it waits for, and what can no longer begin in time', async (t) => {
  let ahead = 0;
  const world = await ApiWorld.open(t, { clock: { ...systemClock, now: () => Date.now() + ahead } });
  const kim = await world.addVault('Northgate', 'kim');
  const reading = await world.addSite(kim, 'Reading', 'Production', ['sql-01', 'web-01']);
  const slough = await world.addSite(kim, 'Slough', 'Recovery');
  const begin = async (request: object) => {
    const id = systemRandom.uuid();
    await world.runner.start(OperationRequest.parse({ id, ...request }), { vaultId: kim.vaultId, name: 'kim' });
    return id;
  };
  const end = ({ id, cloudId }: typeof reading) => ({ siteId: id, cloudId });
  await world.jobEnded(
    kim,
    await begin({ kind: 'pair', name: 'main', primary: end(reading), recovery: end(slough), policy: {}, networks: [] }),
  );
  const [pairing] = await world.store.promises.pairings(kim.vaultId);
  const seen = await world.store.observations.vms(kim.vaultId, { siteId: reading.id });
  await world.jobEnded(kim, await begin({ kind: 'protect', pairing: pairing?.id, vms: seen.map((vm) => vm.report.ref.vmId) }));
  const vms = (await world.store.promises.protectedVms(kim.vaultId)).map(({ id }) => id);

  world.answers = () => null;
  world.connected.delete(reading.id);
  world.heardAt.set(reading.id, Date.now() - 60_000);
  const job = await begin({ kind: 'unplannedFailover', target: { vms }, primary: { evidence: 'unreachable', reason: 'fire' } });
  const secret = await world.credential(kim, 'session', 'owner', 10 * HOUR);
  const http = world.client(secret);
  const awaited = async () => (await http.get(`/api/v1/jobs/${job}`)).data.awaitedAgents;
  assert.deepEqual(await awaited(), [], 'the agent that works on it is there');

  world.connected.delete(slough.id);
  const heardAt = new Date(world.heardAt.get(slough.id) ?? 0).toISOString();
  assert.deepEqual(await awaited(), [{ site: 'Slough', siteId: slough.id, lastHeardAt: heardAt, steps: 2, overdueSteps: 0 }]);
  ahead = 2 * HOUR;
  assert.deepEqual(await awaited(), [{ site: 'Slough', siteId: slough.id, lastHeardAt: heardAt, steps: 2, overdueSteps: 2 }]);

  const environment = { FARSHORE_TOKEN: secret };
  await world.cli(['connect', '--address', world.address, '--ca', world.caFile], { environment });
  const shown = await world.cli(['jobs', 'show', job], { environment });
  assert.match(
    shown.stdout,
    /waits for the agent of Slough, which is not connected \(last heard .*\): 2 steps, 2 of them too late to begin/,
  );
  assert.match(shown.stdout, /The agent has not answered by the deadline/);
  assert.match(shown.stdout, /if it will not come back: farshore jobs give-up \S+ --site Slough --reason/);
  let followed = '';
  const watching = world.cli(['jobs', 'show', job, '--follow'], {
    environment,
    onOutput: (text) => {
      followed += text;
    },
  });
  world.connected.add(slough.id);
  world.answers = succeed;
  for (const command of world.sent.slice()) world.finish(slough.id, command);
  await world.jobEnded(kim, job);
  assert.match((await watching).stdout, /succeeded/, followed);
  assert.deepEqual(await awaited(), []);
});
