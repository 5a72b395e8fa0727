/** Actions in a plan: what is refused, with its line and what is allowed, and the graph that is made of the others. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readDocument, writeDocument } from '../../shared/document.ts';
import { type ActionWork, type CompiledGroup, compileFailover } from '../../shared/domain/plan-compiler.ts';
import { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { checkGraph } from '../../shared/engine/graph.ts';
import type { FarshoreError } from '../../shared/errors.ts';
import type { ProtectedVmId } from '../../shared/ids.ts';
import { EngineWorld } from '../support/engine-world.ts';

function mistakesIn(text: string): string[] {
  try {
    readDocument(text, 'shop.yaml', RecoveryPlan);
    return [];
  } catch (thrown) {
    return (thrown as FarshoreError).problems.map(({ line, field, message, allowed }) => `${line} ${field} ${message} (${allowed})`);
  }
}

const plan = `name: shop
groups:
  - name: databases
    before:
      - { do: ask, name: tell the bank, instruction: Call the bank. }
      - { do: waitForTcp, name: DNS is there, host: dns.example, port: 53, at: primary, kinds: [planned] }
    members:
      - vm: sql-01
        after:
          - { do: waitForGuest, name: SQL is up, withinSeconds: 120 }
    after:
      - { do: waitForHttp, name: shop is open, url: 'https://shop.example/health', onFailure: continue, delaySeconds: 30 }
`;

describe('actions in a plan', () => {
  test('are read with their defaults, and written as they are read', () => {
    const read = readDocument(plan, 'shop.yaml', RecoveryPlan);
    const [ask, dns] = read.groups[0]?.before ?? [];
    assert.deepEqual(ask, {
      do: 'ask',
      name: 'tell the bank',
      instruction: 'Call the bank.',
      kinds: ['planned', 'unplanned'],
      directions: ['toRecovery', 'toPrimary'],
      delaySeconds: 0,
      onFailure: 'stop',
    });
    assert.deepEqual([dns?.kinds, dns && 'withinSeconds' in dns && dns.withinSeconds], [['planned'], 600]);
    assert.deepEqual(readDocument(writeDocument(read), 'again.yaml', RecoveryPlan), read);
  });

  test('are told every mistake at once, each with its line and what is allowed', () => {
    const wrong = plan
      .replace('instruction: Call the bank.', 'text: Call the bank.')
      .replace('kinds: [planned] }', 'kinds: [planed] }')
      .replace('{ do: waitForGuest,', '{ do: waitForGest,')
      .replace("'https://shop.example/health'", "'ftp://shop.example'")
      .replace('onFailure: continue', 'onFailure: ignore');
    const told = mistakesIn(wrong);
    for (const mistake of [
      /^5 groups\[0\]\.before\[0\]\.instruction is missing/,
      /^5 groups\[0\]\.before\[0\]\.text is not a field here .*instruction/,
      /^6 groups\[0\]\.before\[1\]\.kinds\[0\] 'planed' .*did you mean 'planned'\?/,
      /^10 groups\[0\]\.members\[0\]\.after\[0\]\.do 'waitForGest' .*did you mean 'waitForGuest'\?/,
      /^12 groups\[0\]\.after\[0\]\.url/,
      /^12 groups\[0\]\.after\[0\]\.onFailure 'ignore' .*\(stop, continue\)/,
    ])
      assert.ok(
        told.some((line) => mistake.test(line)),
        `${mistake} in\n${told.join('\n')}`,
      );
  });

  test('may not ask the site that an unplanned failover leaves, nor wait for a guest that is not there', () => {
    const told = mistakesIn(
      plan
        .replace(', kinds: [planned]', '')
        .replace('shop is open, url', 'shop is open, at: recovery, url')
        .replace('after:\n          - { do: waitForGuest', 'before:\n          - { do: waitForGuest')
        .replace('{ do: ask, name: tell the bank, instruction: Call the bank. }', '{ do: waitForGuest, name: up, vm: web }'),
    );
    assert.deepEqual(told, [
      "5 groups[0].before[0].vm no member of this plan is called 'web' (a member, named as in its `vm`)",
      "6 groups[0].before[1].at an unplanned failover asks nothing of the site that it leaves, and toRecovery that is the primary site (kinds without 'unplanned', directions without 'toRecovery', or the other site)",
      "10 groups[0].members[0].before[0] 'sql-01' cannot answer before it is started (after the member, or another member)",
      "12 groups[0].after[0].at an unplanned failover asks nothing of the site that it leaves, and toPrimary that is the recovery site (kinds without 'unplanned', directions without 'toPrimary', or the other site)",
    ]);
  });

  test('that fail a channel over have no place in a drill, and name their values plainly', () => {
    const pinned = `Switch.ps1@${'a'.repeat(64)}`;
    const channel = (rest: string) =>
      plan.replace(
        '{ do: ask, name: tell the bank, instruction: Call the bank. }',
        `{ do: failOverChannel, name: ag, channel: shop, primary: A, recovery: B, script: '${pinned}', ${rest} }`,
      );
    assert.deepEqual(mistakesIn(channel('parameters: { waitSeconds: 60 }')), []);
    assert.match(mistakesIn(channel('kinds: [test]'))[0] ?? '', /^5 .*kinds a drill does not fail a channel over/);
    assert.match(mistakesIn(channel("parameters: { 'a b': 1 }"))[0] ?? '', /^5 groups\[0\]\.before\[0\]\.parameters/);
  });

  test('with a password in their address are refused', () =>
    assert.match(mistakesIn(plan.replace('https://shop', 'https://kim:secret@shop'))[0] ?? '', /carries a user name or a password/));
});

const vmId = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` as ProtectedVmId;
const actions = (place: string) =>
  fc
    .array(fc.constantFrom('stop' as const, 'continue' as const), { maxLength: 2 })
    .map((all) => all.map((onFailure, n): ActionWork<string> => ({ name: `${place} ${n}`, onFailure, work: `${place} ${n}` })));
const groups = fc
  .array(fc.record({ size: fc.integer({ min: 1, max: 3 }), before: actions('before'), after: actions('after') }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((given): CompiledGroup<string>[] => {
    let n = 0;
    return given.map(({ size, before, after }, g) => ({
      name: `g${g}`,
      before,
      after,
      members: Array.from({ length: size }, () => {
        const vm = vmId(n++);
        return { vm, name: vm, prepare: 'p', takeBack: 't', start: 's', before: before.slice(0, 1), after: after.slice(0, 1) };
      }),
    }));
  });

describe('the graph of a plan with actions', () => {
  test('is sound, and comes to its end whatever goes wrong', () =>
    fc.assert(
      fc.asyncProperty(groups, fc.infiniteStream(fc.constantFrom('well', 'well', 'well', 'lasting')), async (given, ends) => {
        const graph = compileFailover(given);
        checkGraph(graph);
        const scripts = new Map(graph.steps.map(({ id }) => [id as string, [ends.next().value ?? 'well']] as const));
        const world = new EngineWorld({ graph, scripts, undoScripts: new Map() });
        const state = await world.run();
        assert.notEqual(state.state, 'inProgress');
        if ([...scripts.values()].flat().every((end) => end === 'well')) assert.equal(state.state, 'succeeded');
      }),
      { numRuns: 150 },
    ));

  test('starts nothing of a later group once an action of an earlier one with stop has failed', () =>
    fc.assert(
      fc.asyncProperty(groups, fc.nat(), async (given, which) => {
        const graph = compileFailover(given);
        const stops = graph.steps.filter(({ id, aside }) => aside === 'stop' && id.startsWith('action/group-'));
        const failing = stops[which % Math.max(stops.length, 1)];
        fc.pre(failing !== undefined);
        const group = Number(/group-(\d+)/.exec(failing.id)?.[1]);
        const world = new EngineWorld({ graph, scripts: new Map([[failing.id as string, ['lasting']]]), undoScripts: new Map() });
        await world.run();
        const groupOf = new Map(given.flatMap(({ members }, g) => members.map(({ vm }) => [vm as string, g + 1] as const)));
        const started = world.log.flatMap((fact) =>
          fact.type === 'started' && fact.step.startsWith('start/') ? [fact.step.slice(6)] : [],
        );
        for (const vm of started) {
          const own = groupOf.get(vm) ?? 0;
          assert.ok(own < group || (own === group && failing.id.includes('/after-')), `${vm} of group ${own} after ${failing.id}`);
        }
      }),
      { numRuns: 150 },
    ));
});
