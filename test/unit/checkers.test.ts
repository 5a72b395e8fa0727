import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NewJob } from '../../control-plane/store/job-store.ts';
import type { DrillEvent } from '../../shared/domain/drill.ts';
import type { VmEvent } from '../../shared/domain/protected-vm.ts';
import type { SiteId, StepId } from '../../shared/ids.ts';
import { encodeEgress } from '../../shared/protocol/egress.ts';
import { checkers, type Invariant, violationsOf } from '../support/checkers.ts';
import { CANARY, hasCanary } from '../support/checkers-metadata.ts';
import {
  began,
  call,
  commandOf,
  confirmed,
  earlierJob,
  effect,
  fact,
  facts,
  goodRun,
  job,
  opened,
  power,
  prepare,
  protectedVm,
  reading,
  ref,
  sent,
  slough,
  start,
  stored,
  told,
} from '../support/hand-made-trace.ts';
import type { PromisedVm, SeenCopy, SeenDrillNetwork, TraceEvent } from '../support/trace.ts';

const isLike = (one: TraceEvent) => (other: TraceEvent) => JSON.stringify(other) === JSON.stringify(one);
/** A seal differs each time: a text to an agent is found by what is in it. */
const isSent = (step: string) => (event: TraceEvent) =>
  event.type === 'toAgent' && event.text.includes('envelopes') && event.text.includes(`${step}/1`);

function at(run: readonly TraceEvent[], is: (event: TraceEvent) => boolean): number {
  const index = run.findIndex(is);
  assert.notEqual(index, -1, 'the good run has this event');
  return index;
}
const without = (is: (event: TraceEvent) => boolean): TraceEvent[] => goodRun().toSpliced(at(goodRun(), is), 1);
const withMore = (event: TraceEvent, before: (event: TraceEvent) => boolean): TraceEvent[] =>
  goodRun().toSpliced(at(goodRun(), before), 0, event);
const instead = (is: (event: TraceEvent) => boolean, ...events: TraceEvent[]): TraceEvent[] =>
  goodRun().toSpliced(at(goodRun(), is), 1, ...events);

const isOpened = (event: TraceEvent) => event.type === 'opened' && event.job.job.id === job;
const isFinished = (event: TraceEvent) => event.type === 'finished';
const evidence = (input: unknown) =>
  instead(isOpened, {
    ...opened(),
    job: {
      ...(opened() as never as { job: { job: object } }).job,
      job: { ...(opened() as never as { job: { job: object } }).job.job, input },
    },
  } as TraceEvent);

/** The good run as that of a plan with two actions before its group, which go as told. */
const withActions = (...went: Parameters<typeof facts>): TraceEvent[] => {
  const input = {
    primary: { evidence: 'unreachable', reason: 'it burns' },
    groups: [
      {
        name: 'g',
        members: [],
        actions: [first, second].map((step) => ({ step, name: 'look', when: 'before', onFailure: 'stop' })),
      },
    ],
  };
  const run = evidence(input);
  return run.toSpliced(at(run, isFinished), 0, facts(...went));
};

/** A run of its own, of a plan with one action before its group of one VM. */
const ofGroup = (...went: Parameters<typeof facts>): TraceEvent[] => {
  const actions = [{ step: first, name: 'look', when: 'before', onFailure: 'stop' }];
  const run = evidence({ groups: [{ name: 'g', members: [{ vm: protectedVm, name: 'vm' }], actions }] });
  const named = went.map((one) => ('step' in one ? { ...one, step: one.step.replace(/vm$/, protectedVm) as StepId } : one));
  return [...run.slice(0, at(run, isOpened) + 1), facts(...named)];
};
const cannot = {
  type: 'failed',
  at: 0,
  step: prepare,
  attempt: 1,
  error: { code: 'ERR_FABRIC_FAILED', logRef: '' },
  retry: false,
} as const;
const [first, second] = ['action/group-1/before-1' as StepId, 'action/group-1/before-2' as StepId];
const passedOver = { type: 'notNeeded', at: 0, step: first } as const;
const failed = { type: 'failed', at: 0, step: first, attempt: 1, error: { code: 'ERR_WAIT_TIMEOUT', logRef: '' }, retry: false } as const;

const error = { code: 'ERR_SITE_GIVEN_UP', logRef: '' } as const;
const givenUp = (step: StepId) => ({ type: 'failed', at: 0, step, attempt: 1, error, retry: false }) as const;
const undoGivenUp = { type: 'undoFailed', at: 0, step: start, attempt: 1, error, retry: false } as const;

/** The job as a backup has it, with these facts. */
const restoredAt = (some: Parameters<typeof facts>): TraceEvent => {
  const opening = goodRun().find(isOpened);
  if (opening?.type !== 'opened') throw new Error('the job is opened');
  return { at: 0, type: 'restored', jobs: [{ job: { ...opening.job.job, endedAt: null, state: 'inProgress' }, facts: some }] };
};
const saysAll = (site: SiteId): TraceEvent => ({
  at: 0,
  type: 'toCloud',
  site,
  text: encodeEgress({ type: 'decisions.told', decisions: [], isLast: true }),
});
/** The good run up to its end, and a backup from before its last command. */
const afterRestore = (...more: TraceEvent[]): TraceEvent[] => [
  ...goodRun().filter((event) => !isFinished(event)),
  restoredAt([fact.started(prepare)]),
  ...more,
];

const broken: { readonly [K in Invariant]: readonly (readonly [what: string, trace: TraceEvent[]])[] } = {
  'single-activation': [
    ['started without a reason on record while it runs at its primary', evidence({})],
    ['unreachable is claimed of a site that is connected', withMore({ at: 0, type: 'connection', site: reading, isUp: true }, isOpened)],
    ['started twice at one site', withMore(power(slough, 'on'), isFinished)],
    [
      'started at a second site of ours',
      withMore(power(reading, 'on', { cause: 'startVm', commandId: commandOf(start), cloudId: 'other' }), isFinished),
    ],
  ],
  'epoch-order': [
    [
      'a change under an older epoch than was seen',
      withMore(began(start, { epoch: 5, commandId: 'another' }), isLike(call('startVm', start))),
    ],
    ['a decision that is not newer', withMore(opened(), isFinished)],
    ['a decision that a site has told of is made again', [...afterRestore(saysAll(slough)), opened()]],
    ['started before the epoch stands with the VM', without(isLike(effect('writeEpoch', start)))],
  ],
  'newest-protection': [
    ['a job of a protection that is over', withMore({ at: 0, type: 'opened', job: earlierJob }, isLike(effect('startVm', start)))],
  ],
  'effect-once': [['a command has its effect twice', withMore(effect('startVm', start, { seq: 9 }), isFinished)]],
  cause: [
    ['a command that no job handed out', withMore(began(start, { commandId: commandOf(start, 7) }), isFinished)],
    ['an effect for a command that was never taken on', withMore(effect('startVm', start, { commandId: 'other/start/1' }), isFinished)],
    ['begun past its deadline', instead(isLike(began(start)), began(start, { at: 60_001 }))],
  ],
  'outage-neutral': [
    ['a VM goes off without a command', withMore(power(reading, 'off', { cause: 'stopFailover', commandId: 'none/x/1' }), isFinished)],
    ['a call for a command that was never sent', without(isSent('start/vm'))],
  ],
  withdrawn: [
    ['a change for a command that was given up', withMore(facts(givenUp(start)), isLike(call('startVm', start)))],
    ['a change for a job that has ended', withMore(facts(fact.ended), isLike(call('startVm', start)))],
    [
      'a change for an undo that was given up',
      [facts(undoGivenUp), { ...call('startVm', start), commandId: commandOf(start, 1, '/undo') } as TraceEvent],
    ],
  ],
  'restored-waits': [
    ['sent on although the site knows a command that is lost', afterRestore(sent(prepare))],
    [
      'sent on once the primary has told what it knows',
      afterRestore(
        began(start, { site: reading, commandId: 'later/start/1' }),
        restoredAt([fact.started(prepare), fact.started(start)]),
        saysAll(reading),
        sent(start),
      ),
    ],
  ],
  'dead-site': [['a command to the primary site', withMore(sent(prepare, reading), isFinished)]],
  'acknowledged-survives': [
    ['a job is gone after a start', withMore({ at: 0, type: 'reread', jobs: [] }, isFinished)],
    ['it was never stored', withMore({ at: 0, type: 'acknowledged', jobId: 'never' as never }, isFinished)],
    ['a fact is gone', withMore(stored(goodRun().filter((event) => event.type !== 'facts')), isFinished)],
    ['it is another job now', withMore(changedJob(), isFinished)],
  ],
  'written-first': [
    ['sent before the log had it', withMore(sent(start), isLike(facts(fact.started(prepare))))],
    ['called before the intent', withMore(call('startVm', start), isLike(began(start)))],
    ['told before the result', withMore(told(start), isLike(began(start)))],
    ['confirmed before the log had it', withMore(confirmed(start), isLike(began(start)))],
  ],
  order: [
    ['started before what it needs', withMore(facts(fact.started(start)), isLike(facts(fact.started(prepare))))],
    ['undone past its pivot', withMore(facts(fact.undoStarted(prepare)), isFinished)],
  ],
  'action-once': [['begun again, and nobody said so', withActions(fact.started(first), fact.started(first, 2))]],
  'stop-holds': [['one starts after one before it has failed', withActions(fact.started(first), failed, fact.started(second))]],
  'action-order': [['the second starts and the first has not ended', withActions(fact.started(first), fact.started(second))]],
  'action-needed': [
    ['begun for a group whose member has fallen', ofGroup(fact.started(prepare), cannot, fact.started(first), fact.ended)],
    ['begun for a group whose members never came', ofGroup(fact.started(first), fact.ended)],
    ['passed over although a member is up', ofGroup(fact.started(start), fact.done(start), passedOver, fact.ended)],
    ['passed over although a member still comes', ofGroup(passedOver, fact.started(start), fact.done(start), fact.ended)],
  ],
  'bounded-retries': [['begun a third time of two', withMore(facts(fact.started(start, 2), fact.started(start, 3)), isFinished)]],
  'every-job-ends': [['it has no end', instead(isLike(facts(fact.done(start), fact.ended)), facts(fact.done(start)))]],
  'drill-isolated': [
    ['a copy is on a network that leads somewhere', withMore(copies({ exposedTo: ['LAN'] }), isFinished)],
    ['a copy has the id of its replica', withMore(copies({ vmId: ref.vmId }), isFinished)],
    ['a drill fails the replica over', [drill({}), effect('startFailover', prepare)]],
    ['a drill decides an epoch', [drill({ claims: [{ id: protectedVm, phases: ['protected'], epoch: 2 }] })]],
    ['a drill changes the phase', [drill({}), marks('failoverStarted')]],
    ['production is started as a copy', withMore(power(slough, 'on', { cause: 'startTestVm' }), isFinished)],
  ],
  'drill-known': [
    ['a copy is made before its VM says so', withMore(copies(), isFinished)],
    [
      'a copy is left when its VM says that it is gone',
      [...goodRun().slice(0, -1), marks('testCopyBegun'), copies(), marks('testCopyRemoved'), ...goodRun().slice(-1)],
    ],
  ],
  'promise-kept': [
    ['protected, and its replica takes nothing', withMore(promised({ target: 'replica/failedOverWaitingCompletion' }), isFinished)],
    ['protected, and nothing sends', withMore(promised({ source: 'none' }), isFinished)],
    ['failed over, and its replica is one at rest', withMore(promised({ phase: 'failedOver' }), isFinished)],
    [
      'it stands on another point than was told',
      withMore(
        promised({ phase: 'failedOver', target: 'replica/failedOverWaitingCompletion', failover: `${job}/${prepare} to another` }),
        isFinished,
      ),
    ],
    [
      'it replicates, and was told to be suspended',
      [...withMore(facts(fact.done('suspend/source/vm' as StepId)), isFinished).slice(0, -1), promised(), ...goodRun().slice(-1)],
    ],
    ['on its way, and nobody works on it', withMore(promised({ phase: 'failingOver' }), isFinished)],
  ],
  'drill-passed': [
    ['the copy of a drill that passed runs on', passedDrill(copies({ power: 'running' }))],
    ['its protected VM was unprotected by force', passedDrill(copies(), marks('testCopyBegun'), marks('protectionGivenUp'))],
  ],
  'drill-network': [
    ['a copy of another drill is on it', [effect('startTestFailover', 'copy/vm' as StepId), networks({ drill: 'another' })]],
    ['it is left when no VM tells of the drill', [networks({ replicaIds: [] }), { at: 0, type: 'finished' }]],
  ],
  'metadata-only': [
    ['a canary leaves', withMore(text(JSON.stringify({ type: 'envelope.refused', code: CANARY })), isFinished)],
    ['in base64', withMore(text(JSON.stringify({ a: Buffer.from(`x${CANARY}y`).toString('base64') })), isFinished)],
    [
      'something that the schema does not name leaves',
      withMore(text('{"type":"envelope.refused","code":"ERR_INTERNAL","host":"h"}'), isFinished),
    ],
  ],
};

function drill(over: Partial<NewJob>): TraceEvent {
  const { job: given } = opened() as Extract<TraceEvent, { type: 'opened' }>;
  return opened({ job: { ...given.job, kind: 'testFailover', input: {} }, claims: [], ...over });
}

function promised(over: Partial<PromisedVm> = {}): TraceEvent {
  const ends = { source: 'primary/replicating', target: 'replica/replicating', failover: null };
  const vm = { id: 'vm', name: 'vm', phase: 'protected', isBusy: false, ...ends } as const;
  return { at: 0, type: 'promises', vms: [{ ...vm, ...over }] };
}

/** The drill of one VM, its clean-up that succeeded, and what else there was; then its jobs are read again. */
function passedDrill(...more: TraceEvent[]): TraceEvent[] {
  const of = (kind: 'testFailover' | 'cleanUpTest', id: string, input: object) => {
    const { job: given } = drill({}) as Extract<TraceEvent, { type: 'opened' }>;
    return { ...given.job, id: id as never, kind, input, endedAt: 0, state: 'succeeded' as const };
  };
  const members = [{ vm: protectedVm, name: 'vm' }];
  const jobs = [
    of('testFailover', job, { groups: [{ name: 'g', members }] }),
    of('cleanUpTest', '0c1ea000-0000-4000-8000-000000000001', { drill: job, outcome: 'passed', notes: 'well', vms: members }),
  ];
  const made = effect('startTestFailover', 'copy/vm' as StepId);
  return [made, ...more, { at: 0, type: 'reread', jobs: jobs.map((one) => ({ job: one, facts: [] })) }];
}

function networks(over: Partial<SeenDrillNetwork>): TraceEvent {
  return { at: 0, type: 'drillNetworks', site: slough, networks: [{ drill: job, replicaIds: [ref.vmId], ...over }] };
}

function copies(over: Partial<SeenCopy> = {}): TraceEvent {
  return { at: 0, type: 'copies', site: slough, copies: [{ vmId: 'copy', replicaId: ref.vmId, power: 'off', exposedTo: [], ...over }] };
}

function marks(event: VmEvent | DrillEvent): TraceEvent {
  return { at: 0, type: 'facts', jobId: job, facts: [], projections: [{ vm: protectedVm, event }] };
}

function text(of: string): TraceEvent {
  return { at: 0, type: 'toCloud', site: slough, text: of };
}

function changedJob(): TraceEvent {
  const { jobs } = stored(goodRun()) as Extract<TraceEvent, { type: 'reread' }>;
  return { at: 0, type: 'reread', jobs: jobs.map((entry) => ({ ...entry, job: { ...entry.job, startedBy: 'somebody else' } })) };
}

describe('checkers', () => {
  test('a good run breaks nothing', () => assert.deepEqual(violationsOf(goodRun()), []));

  for (const [invariant, traces] of Object.entries(broken) as [Invariant, (typeof broken)[Invariant]][]) {
    for (const [what, trace] of traces) {
      test(`${invariant} is broken when ${what}`, () => assert.notDeepEqual(checkers[invariant](trace), []));
    }
  }

  test('a canary is found raw and in every encoding, at every offset, and nowhere else', () => {
    for (let before = 0; before < 6; before++) {
      const bytes = Buffer.from(`${'x'.repeat(before)}${CANARY}yyy`);
      for (const encoded of [
        bytes.toString(),
        bytes.toString('base64'),
        bytes.toString('base64url'),
        bytes.toString('hex').toUpperCase(),
        encodeURIComponent(bytes.toString()),
      ])
        assert.ok(hasCanary(encoded), encoded);
    }
    assert.ok(!hasCanary(JSON.stringify({ name: 'vm-1', id: job })));
  });
});
