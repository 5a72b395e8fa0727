/** A job that is held hands nothing out, also after a restart, until a person lets it go on; a cancel ends it as it stands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import colors from 'picocolors';
import { jobDetail } from '../../control-plane/api/job-view.ts';
import type { Output } from '../../control-plane/cli/output.ts';
import { summaryOf } from '../../control-plane/cli/progress/summary.ts';
import type { Job } from '../../control-plane/store/job-store.ts';
import { Engine } from '../../shared/engine/engine.ts';
import type { Fact } from '../../shared/engine/facts.ts';
import type { Graph } from '../../shared/engine/graph.ts';
import { StepId } from '../../shared/ids.ts';
import { VirtualClock } from '../support/agent-clock.ts';

const [first, second] = [StepId.parse('first'), StepId.parse('second')];
const step = { needs: [], after: [], scope: 'vm', title: 'a step', work: 'work', undo: 'undo' };
const graph: Graph<string> = {
  steps: [
    { ...step, id: first },
    { ...step, id: second, needs: [first] },
  ],
};

function engineOn(log: Fact[]) {
  const handed: string[] = [];
  let isEnded = false;
  const engine = new Engine(graph, [...log], {
    clock: new VirtualClock(),
    append: async (facts) => void log.push(...facts),
    dispatch: (some) => handed.push(...some.map(({ step: { id }, direction }) => `${direction} ${id}`)),
    onHalted: () => {},
    onEnded: () => {
      isEnded = true;
    },
  });
  return { engine, handed, hasEnded: () => isEnded };
}

const well = { ok: true, result: {} } as const;
const slough = [{ site: 'slough', upTo: 7 }];

test('what is under way may end while the job is held, and nothing comes after it until it goes on', async () => {
  const log: Fact[] = [];
  const { engine, handed } = engineOn(log);
  await engine.resume();
  await engine.hold('ERR_NEWER_DECISION', slough);
  await engine.settle(first, 'do', 1, well);
  assert.deepEqual([handed, engine.state.state], [['do first'], 'parked']);
  await assert.rejects(engine.decide(first, 'skip', 'kim', 'no'), { code: 'ERR_OPERATION_NOT_ALLOWED' });
  await engine.letGoOn('kim', 'I have looked');
  assert.deepEqual([handed, engine.state.state], [['do first', 'do second'], 'inProgress']);
  await assert.rejects(engine.letGoOn('kim', 'again'), { code: 'ERR_OPERATION_NOT_ALLOWED' }, 'nothing holds it any more');
});

test('it stays held across a restart, and what was under way is handed out again when it goes on', async () => {
  const log: Fact[] = [];
  const before = engineOn(log);
  await before.engine.resume();
  await before.engine.hold('ERR_SITE_UNHEARD', slough);
  before.engine.stop();
  const { engine, handed } = engineOn(log);
  await engine.resume();
  assert.deepEqual(handed, []);
  await engine.letGoOn('kim', 'I have looked');
  assert.deepEqual(handed, ['do first']);
});

test('a cancel ends a held job as it stands: nothing is undone', async () => {
  const log: Fact[] = [];
  const { engine, handed, hasEnded } = engineOn(log);
  await engine.resume();
  await engine.settle(first, 'do', 1, well);
  await engine.hold('ERR_NEWER_DECISION', slough);
  await engine.cancel('kim', 'it was done otherwise');
  assert.deepEqual([handed, engine.state.state, hasEnded()], [['do first', 'do second'], 'cancelled', true]);
});

test('whoever looks at a held job is told why, because of which site, and how to go on', async () => {
  const log: Fact[] = [];
  const { engine } = engineOn(log);
  await engine.resume();
  await engine.hold('ERR_NEWER_DECISION', slough);
  const job = {
    id: 'job-1',
    kind: 'plannedFailover',
    target: 'shop',
    startedBy: 'kim',
    startedAt: 0,
    endedAt: null,
    state: 'parked',
    input: {},
  };
  const detail = jobDetail({
    job: job as unknown as Job,
    graph: { steps: [] },
    facts: log.map((fact, index) => ({ seq: index + 1, fact })),
    names: new Map(),
    stageOf: () => null,
    agentOf: () => ({ siteName: 'Slough', isConnected: true, lastHeardAt: 0 }),
    takesItselfBackAt: null,
    now: 0,
  });
  assert.deepEqual([detail.held?.code, detail.held?.sites], ['ERR_NEWER_DECISION', ['Slough']]);
  const text = summaryOf(detail, { colors: colors.createColors(false) } as unknown as Output);
  assert.match(text, /held since .* because of Slough: ERR_NEWER_DECISION/);
  assert.match(text, /farshore jobs resume job-1 --reason/);
  assert.match(text, /farshore jobs cancel job-1 --reason/);
});
