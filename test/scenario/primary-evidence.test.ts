/** Who may call a primary site unreachable, and when: a control plane that has just started has heard nobody yet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileUnplannedFailover } from '../../control-plane/operations/unplanned-failover.ts';
import { OperationRequest } from '../../shared/api/operations.ts';
import type { ErrorCode, FarshoreError } from '../../shared/errors.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { ApiWorld } from '../support/api-world.ts';

test('a primary is not unreachable before it had time to come back: after a cut line, and after a restart of the control plane', async (t) => {
  const world = await ApiWorld.open(t);
  const kim = await world.addVault('Northgate', 'kim');
  const reading = await world.addSite(kim, 'Reading', 'Production', ['sql-01']);
  const slough = await world.addSite(kim, 'Slough', 'Recovery');
  const actor = { vaultId: kim.vaultId, name: 'kim' };
  const run = async (request: object) => {
    const { job } = await world.runner.start(OperationRequest.parse({ id: systemRandom.uuid(), ...request }), actor);
    await world.jobEnded(kim, job.id);
  };
  const end = ({ id, cloudId }: typeof reading) => ({ siteId: id, cloudId });
  await run({ kind: 'pair', name: 'main', primary: end(reading), recovery: end(slough), policy: {}, networks: [] });
  const [pairing] = await world.store.promises.pairings(kim.vaultId);
  const [seen] = await world.store.observations.vms(kim.vaultId, { siteId: reading.id });
  await run({ kind: 'protect', pairing: pairing?.id, vms: [seen?.report.ref.vmId] });
  const [vm] = await world.store.promises.protectedVms(kim.vaultId);

  // The primary's agent is well and waits for its next try to dial.
  world.connected.delete(reading.id);
  world.heardAt.delete(reading.id);
  const codeAfter = async (seconds: number, evidence: 'unreachable' | 'attested'): Promise<ErrorCode | 'compiled'> => {
    const primary = { evidence, reason: 'it seems so' };
    const request = OperationRequest.parse({ id: systemRandom.uuid(), kind: 'unplannedFailover', target: { vms: [vm?.id] }, primary });
    const listeningSince = Date.now() - seconds * 1000;
    const replication = { rootPem: '', signSite: async () => '' };
    const ports = { store: world.store, presence: world.presence, clock: systemClock, random: systemRandom, replication, listeningSince };
    return compileUnplannedFailover(request as never, actor, ports).then(
      () => 'compiled',
      (error: FarshoreError) => error.code,
    );
  };
  assert.equal(await codeAfter(5, 'unreachable'), 'ERR_PRIMARY_UNJUDGED');
  assert.equal(await codeAfter(5, 'attested'), 'compiled');
  assert.equal(await codeAfter(80, 'unreachable'), 'compiled');
  world.heardAt.set(reading.id, Date.now() - 2_000);
  assert.equal(await codeAfter(5, 'unreachable'), 'ERR_PRIMARY_UNJUDGED', 'it may be a certificate that was renewed');
  world.heardAt.set(reading.id, Date.now() - 12_000);
  assert.equal(await codeAfter(5, 'unreachable'), 'compiled', 'this process saw it leave');
});
