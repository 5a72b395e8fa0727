/** script.run: a script is run once for its command, whatever happens to the agent, and what it says stays at the site. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Journal } from '../../provider-agent/state/journal.ts';
import type { CommandId, ProtectedVmId } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import { withWrites } from '../support/agent-journal.ts';
import { AgentWorld, replica, startCommand, vmRef } from '../support/agent-world.ts';
import { digest } from '../support/test-scripts.ts';

const runIt: Command = {
  kind: 'script.run',
  args: {
    name: 'Move-Name.ps1',
    sha256: digest('a'),
    withinSeconds: 600,
    context: {
      plan: { name: 'shop', version: 3 },
      kind: 'planned',
      direction: 'toRecovery',
      group: 'databases',
      action: 'move the name',
      location: 'recovery',
      vms: [{ id: '0f000000-0000-4000-8000-000000000001' as ProtectedVmId, ref: vmRef(1) }],
    },
  },
};

async function ready(t: Parameters<typeof AgentWorld.make>[0], journal: (journal: Journal) => Journal = (same) => same) {
  const world = await AgentWorld.make(t, { journal });
  world.scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') });
  world.fabric.add(replica(1, { power: 'running' }));
  await world.start();
  return world;
}

const codeOf = (outcome: { status: string }) => ('code' in outcome ? outcome.code : outcome.status);

test('it reads one JSON document with the plan, the kind, the direction, the group and the VMs with names and addresses', async (t) => {
  const world = await ready(t);
  world.send(runIt);
  const outcome = await world.outcome();
  assert.deepEqual(outcome, {
    status: 'done',
    kind: 'script.run',
    result: { exitCode: 0, durationMs: 1_500, sha256: digest('a'), outputRef: '' },
  });
  const [ran] = world.scripts.ran;
  assert.deepEqual(JSON.parse(ran?.input ?? ''), {
    plan: { name: 'shop', version: 3 },
    kind: 'planned',
    direction: 'toRecovery',
    group: 'databases',
    action: 'move the name',
    site: 'recovery',
    vms: [
      {
        id: '0f000000-0000-4000-8000-000000000001',
        vmId: vmRef(1).vmId,
        name: 'vm-1',
        activeSite: 'recovery',
        addresses: ['10.2.0.1'],
      },
    ],
  });
  assert.deepEqual([ran?.environment.FARSHORE_PLAN, ran?.environment.FARSHORE_SITE, ran?.limitMs], ['shop', 'recovery', 600_000]);
  assert.ok(!world.sentTexts.some((text) => text.includes('10.2.0.1')), 'addresses never leave the site');
});

test('an exit code goes up as it is, and an end at the limit is a failure', async (t) => {
  const world = await ready(t);
  world.scripts.exitCodes.set('Move-Name.ps1', 3);
  world.send(runIt);
  const outcome = await world.outcome();
  assert.equal(outcome.status === 'done' && outcome.kind === 'script.run' && outcome.result.exitCode, 3);
  world.scripts.exitCodes.set('Move-Name.ps1', null);
  world.send(runIt, { commandId: 'job/step/2' as CommandId });
  assert.equal(codeOf(await world.outcome('job/step/2')), 'ERR_SCRIPT_TIMEOUT');
});

test('one that is not there, or is not the one that the plan names, is not run', async (t) => {
  const world = await ready(t);
  world.send({ ...runIt, args: { ...runIt.args, sha256: digest('b') } } as Command);
  assert.equal(codeOf(await world.outcome()), 'ERR_SCRIPT_CHANGED');
  world.send({ ...runIt, args: { ...runIt.args, name: 'Other.ps1' } } as Command, { commandId: 'job/other/1' as CommandId });
  assert.equal(codeOf(await world.outcome('job/other/1')), 'ERR_SCRIPT_MISSING');
  assert.deepEqual(world.scripts.ran, []);
});

test('a command that came twice runs it once', async (t) => {
  const world = await ready(t);
  world.send(runIt);
  world.send(runIt);
  await world.outcome();
  world.send(runIt);
  await world.outcome('job/step/1', 2);
  assert.equal(world.scripts.ran.length, 1);
});

for (const [write, when, end] of [
  ['begin', 'before', 'done'],
  ['begin', 'after', 'ERR_SCRIPT_UNKNOWN'],
  ['conclude', 'before', 'ERR_SCRIPT_UNKNOWN'],
  ['conclude', 'after', 'done'],
] as const) {
  test(`an agent that dies ${when} it writes ${write} never runs it twice, and says ${end}`, async (t) => {
    let crashes = 0;
    const crashing = (journal: Journal) =>
      withWrites(journal, {
        [write]: async (...args: never[]) => {
          const go = () => (journal[write] as (...args: never[]) => Promise<void>)(...args);
          if (crashes > 0) return go();
          if (when === 'after') await go();
          crashes++;
          world.crash();
          return new Promise<void>(() => {});
        },
      } as Partial<Journal>);
    const world: AgentWorld = await ready(t, crashing);
    world.send(runIt);
    await world.clock.until(() => crashes === 1, 'the crash');
    await world.start();
    world.send(runIt);
    assert.equal(codeOf(await world.outcome()), end);
    assert.ok(world.scripts.ran.length <= 1, `it ran ${world.scripts.ran.length} times`);
    if (end === 'done') assert.equal(world.scripts.ran.length, 1);
  });
}

test('an agent that dies while it runs says that its outcome is unknown, and other commands go on', async (t) => {
  const world = await ready(t);
  let hasBegun = false;
  world.scripts.onRun = () => {
    hasBegun = true;
    return new Promise(() => {});
  };
  world.fabric.add(replica(2, { replication: { ...replica(2).replication, state: 'failedOverWaitingCompletion' } }));
  world.send(runIt);
  await world.clock.until(() => hasBegun, 'it runs');
  world.send(startCommand(2), { commandId: 'job/start/1' as CommandId });
  assert.equal((await world.outcome('job/start/1')).status, 'done', 'a script holds nobody up');
  world.crash();
  await world.start();
  world.send(runIt);
  assert.equal(codeOf(await world.outcome()), 'ERR_SCRIPT_UNKNOWN');
  assert.equal(world.scripts.ran.length, 1);
});
