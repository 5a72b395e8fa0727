import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fabric, TestCopyView, VmView } from '../../provider-agent/fabric/fabric.ts';
import type { Journal } from '../../provider-agent/state/journal.ts';
import { defaultPolicy, settingsOf } from '../../shared/domain/policy.ts';
import type { JobId, NetworkId, PairingId, SiteId, VmId } from '../../shared/ids.ts';
import type { Command, CommandKind } from '../../shared/protocol/commands.ts';
import { withWrites } from '../support/agent-journal.ts';
import { AgentWorld, cloudId, replica, vmRef } from '../support/agent-world.ts';

const ref = vmRef(1);
const siteId = 'f0000000-0000-4000-8000-000000000001' as SiteId;
const pairingId = 'f1000000-0000-4000-8000-000000000001' as PairingId;
const pem = '-----BEGIN CERTIFICATE-----\n';
const point = Date.parse('2026-11-23T07:59:00Z');

const inState = (mode: VmView['replication']['mode'], state: VmView['replication']['state'], over: Partial<VmView> = {}): VmView =>
  replica(1, {
    replication: { mode, state, health: 'normal', failoverType: 'none', lastPointAt: point, settings: settingsOf(defaultPolicy) },
    ...over,
  });

interface Case {
  readonly args: unknown;
  readonly before: VmView;
  /** Of the replica, before the command. */
  readonly copy?: TestCopyView;
}

const drillNetwork = '0a000000-0000-4000-8000-00000000000b' as NetworkId;
const testCopy = (over: Partial<TestCopyView> = {}): TestCopyView => ({
  ref: { ...ref, vmId: '0c0b0000-0000-4000-8000-000000000001' as VmId },
  name: 'vm - Test',
  power: 'off',
  networkIds: [],
  recoveryPoint: { id: 'p1', at: point, kind: 'crashConsistent' },
  ...over,
});

/** Whether it ran cannot be looked at: `agent-scripts.test.ts` has its crashes. */
type Unlooked = 'script.run';

/** Every other command the protocol has, and a site it can be run on. */
const cases: { [K in Exclude<CommandKind, Unlooked>]: Case & { readonly args: Extract<Command, { kind: K }>['args'] } } = {
  'hosts.requestAuthority': { args: { pairingId }, before: inState('replica', 'replicating') },
  'hosts.prepare': {
    args: {
      pairingId,
      cloudId,
      authentication: 'certificate',
      port: null,
      authority: pem,
      root: pem,
      peer: { siteId, cloudId },
    },
    before: inState('replica', 'replicating'),
  },
  'hosts.release': { args: { pairingId, cloudId }, before: inState('replica', 'replicating') },
  'replication.admit': { args: { vm: ref, role: 'primary' }, before: inState('none', 'disabled', { power: 'running' }) },
  'replication.enable': {
    args: { vm: ref, target: { siteId, cloudId, address: '127.0.0.1:443' }, policy: defaultPolicy },
    before: inState('none', 'disabled', { power: 'running' }),
  },
  'replica.configure': { args: { vm: ref, networks: [] }, before: inState('replica', 'replicating') },
  'replication.setPolicy': { args: { vm: ref, policy: defaultPolicy }, before: inState('primary', 'replicating', { power: 'running' }) },
  'replication.seed': { args: { vm: ref }, before: inState('primary', 'readyForInitialReplication', { power: 'running' }) },
  'replication.admitAdoption': {
    args: { vm: ref, role: 'primary', settings: settingsOf(defaultPolicy), pointAt: null },
    before: inState('primary', 'replicating', { power: 'running' }),
  },
  'replication.admitReversal': {
    args: { vm: ref, role: 'replica', shutDown: false },
    before: inState('replica', 'failedOver', { power: 'running' }),
  },
  'replication.becomeReplica': {
    args: { vm: ref, isPlanned: false, shutDown: true },
    before: inState('primary', 'waitingForStartResynchronize', { power: 'running' }),
  },
  'replication.reverse': {
    args: { vm: ref, target: { siteId, cloudId, address: '127.0.0.1:443' }, policy: defaultPolicy },
    before: inState('replica', 'failedOver', { power: 'running' }),
  },
  'replication.resynchronize': { args: { vm: ref }, before: inState('primary', 'waitingForStartResynchronize', { power: 'running' }) },
  'replica.importFirstCopy': { args: { vm: ref, folder: '/carried' }, before: inState('replica', 'waitingForInitialReplication') },
  'wait.exported': { args: { vm: ref }, before: inState('primary', 'waitingForInitialReplication', { power: 'running' }) },
  'replication.admitSuspension': { args: { vm: ref, role: 'primary' }, before: inState('primary', 'suspended', { power: 'running' }) },
  'replication.suspend': { args: { vm: ref }, before: inState('primary', 'replicating', { power: 'running' }) },
  'replication.resume': { args: { vm: ref }, before: inState('replica', 'suspended') },
  'replica.admit': { args: { vm: ref }, before: inState('replica', 'replicating') },
  'replication.disable': { args: { vm: ref }, before: inState('primary', 'replicating', { power: 'running' }) },
  'replica.remove': { args: { vm: ref, deleteReplica: true }, before: inState('replica', 'replicating') },
  'failover.admit': { args: { vm: ref, role: 'primary' }, before: inState('primary', 'replicating', { power: 'running' }) },
  'failover.prepare': { args: { vm: ref }, before: inState('primary', 'replicating', { power: 'running' }) },
  'failover.unprepare': { args: { vm: ref, isRunning: true }, before: inState('primary', 'preparedForFailover') },
  'failover.execute': { args: { vm: ref, recoveryPoint: { choose: 'latest' } }, before: inState('replica', 'replicating') },
  'failover.findPoint': {
    args: { vm: ref, recoveryPoint: { choose: 'latest' } },
    before: inState('replica', 'failedOverWaitingCompletion', { power: 'running' }),
  },
  'failover.cancel': { args: { vm: ref }, before: inState('replica', 'failedOverWaitingCompletion', { power: 'running' }) },
  'vm.start': { args: { vm: ref, guestAnswersWithinSeconds: 60 }, before: inState('replica', 'failedOverWaitingCompletion') },
  'wait.until': {
    args: { condition: { kind: 'guest', guest: ref }, withinSeconds: 60 },
    before: inState('replica', 'failedOverWaitingCompletion', { power: 'running' }),
  },
  'wait.copied': { args: { vm: ref }, before: inState('primary', 'replicating', { power: 'running' }) },
  'failover.commit': { args: { vm: ref }, before: inState('replica', 'failedOverWaitingCompletion', { power: 'running' }) },
  'drill.admit': {
    args: { vm: ref, recoveryPoint: { choose: 'latest' }, network: drillNetwork },
    before: inState('replica', 'replicating'),
  },
  'drill.copy': { args: { vm: ref, recoveryPoint: { choose: 'latest' } }, before: inState('replica', 'replicating') },
  'drill.connect': {
    args: { vm: ref, network: { drill: siteId as string as JobId, like: drillNetwork } },
    before: inState('replica', 'replicating'),
    copy: testCopy(),
  },
  'drill.start': {
    args: { vm: ref, network: drillNetwork, guestAnswersWithinSeconds: 60 },
    before: inState('replica', 'replicating'),
    copy: testCopy({ networkIds: [drillNetwork] }),
  },
  'drill.cleanUp': {
    args: { vm: ref, drill: siteId as string as JobId },
    before: inState('replica', 'replicating'),
    copy: testCopy({ power: 'running' }),
  },
};

/** Calls whose repetition changes nothing at the fabric. */
const idempotent = ['prepareHosts', 'releaseHosts', 'configureReplica', 'setReplicationPolicy', 'connectTestCopy', 'writeEpoch'];

type Write = 'begin' | 'conclude';
interface Crash {
  readonly write: Write;
  readonly when: 'before' | 'after';
}

async function run(
  t: Parameters<typeof AgentWorld.make>[0],
  kind: Exclude<CommandKind, Unlooked>,
  crash: Crash | null,
  fabricFault: keyof Fabric | null = null,
) {
  let crashes = 0;
  const crashAt = (journal: Journal, write: Write) =>
    ((...args: never[]) => {
      // The call types of the two writes differ; both hand their arguments through unchanged.
      const go = () => (journal[write] as (...args: never[]) => Promise<void>)(...args);
      if (crash?.write !== write || crashes > 0) return go();
      crashes++;
      if (crash.when === 'before') {
        world.crash();
        return new Promise<void>(() => {});
      }
      return go().then(() => {
        world.crash();
        return new Promise<void>(() => {});
      });
    }) as never;
  const world: AgentWorld = await AgentWorld.make(t, {
    journal: (journal) => withWrites(journal, { begin: crashAt(journal, 'begin'), conclude: crashAt(journal, 'conclude') }),
  });
  const { args, before, copy } = cases[kind];
  const command = { kind, args } as Command;
  world.fabric.add(before);
  if (copy !== undefined) world.fabric.copies.set(ref.vmId, copy);
  world.fabric.points.set(ref.vmId, [{ id: 'p1', at: point, kind: 'crashConsistent' }]);
  world.fabric.seedsAfterStart(world.clock, 5_000);
  await world.start();
  if (fabricFault !== null) world.fabric.order(fabricFault as never, 'hangsAfter');
  world.send(command, { epoch: 3 });
  if (crash !== null) {
    await world.clock.until(() => crashes === 1, 'the crash');
    await world.start();
    world.send(command, { epoch: 3 });
  } else if (fabricFault !== null) {
    await world.clock.until(() => world.fabric.faultsMet === 1, 'the call');
    world.crash();
    await world.start();
    world.send(command, { epoch: 3 });
  }
  const outcome = await world.outcome();
  const found = { vm: await world.fabric.findVm(ref), copy: await world.fabric.findTestCopy(ref) };
  return { world, outcome, found, calls: world.fabric.calls.map(({ call }) => call) };
}

for (const kind of Object.keys(cases) as Exclude<CommandKind, Unlooked>[]) {
  test(`${kind} ends the same with a crash at any journal write or fabric call as with none`, async (t) => {
    const undisturbed = await run(t, kind, null);
    assert.equal(undisturbed.outcome.status, 'done', JSON.stringify(undisturbed.world.logged.at(-1)));

    const disturbed = [];
    for (const write of ['begin', 'conclude'] as const) {
      for (const when of ['before', 'after'] as const) disturbed.push(await run(t, kind, { write, when }));
    }
    for (const call of new Set(undisturbed.calls)) disturbed.push(await run(t, kind, null, call));

    for (const { outcome, found, calls } of disturbed) {
      assert.equal(outcome.status, 'done');
      assert.deepEqual(found, undisturbed.found);
      for (const call of new Set(calls)) {
        if (!idempotent.includes(call)) assert.equal(calls.filter((made) => made === call).length, 1, `${call} once`);
      }
    }
  });

  test(`${kind} asked for again under a new id, with its work done, changes nothing more`, async (t) => {
    const { world, found, calls } = await run(t, kind, null);
    const { args } = cases[kind];
    world.send({ kind, args } as Command, { epoch: 3, commandId: 'job/step/2' as never });
    const outcome = await world.outcome('job/step/2');
    assert.equal(outcome.status, 'done', JSON.stringify(world.logged.at(-1)));
    assert.deepEqual({ vm: await world.fabric.findVm(ref), copy: await world.fabric.findTestCopy(ref) }, found);
    const more = world.fabric.calls.slice(calls.length).map(({ call }) => call);
    assert.deepEqual(
      more.filter((call) => !idempotent.includes(call)),
      [],
    );
  });
}
