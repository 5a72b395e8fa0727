/** A short good run written by hand: one VM is failed over by one job. Tests of checkers break it in one place each. */
import type { NewJob } from '../../control-plane/store/job-store.ts';
import { noSettings } from '../../control-plane/store/vm-settings.ts';
import type { AgentId, CommandId, JobId, SiteId, StepId, VaultId, VmRef } from '../../shared/ids.ts';
import { encodeEgress } from '../../shared/protocol/egress.ts';
import type { CommandToSend } from '../../shared/protocol/envelope.ts';
import { sealEnvelope } from '../../shared/protocol/envelope.ts';
import { encodeCloudMessage } from '../../shared/protocol/messages.ts';
import { keyPair } from './agent-world.ts';
import { uuidOf } from './simulated-sites.ts';
import type { StoredJob, TraceEvent } from './trace.ts';

export const job = uuidOf('job') as JobId;
export const [reading, slough] = [uuidOf('reading') as SiteId, uuidOf('slough') as SiteId];
export const ref: VmRef = { cloudId: uuidOf('silver') as VmRef['cloudId'], vmId: uuidOf('vm') as VmRef['vmId'] };
const atReading = { cloudId: uuidOf('gold') as VmRef['cloudId'], vmId: ref.vmId };
const vaultId = uuidOf('vault') as VaultId;
export const protectedVm = uuidOf('protected') as never;
const pairing = uuidOf('pairing') as never;
const keys = keyPair();

export const [prepare, start] = ['failover/vm' as StepId, 'start/vm' as StepId];
export const commandOf = (step: StepId, attempt = 1, undo = '') => `${job}/${step}/${attempt}${undo}`;

const work = (kind: 'failover.execute' | 'vm.start' | 'failover.cancel') =>
  ({
    siteId: slough,
    epoch: 1,
    beginWithinSeconds: 60,
    kind,
    args: { vm: ref },
  }) as never;

function newJob(over: Partial<NewJob>): NewJob {
  const head = {
    id: job,
    vaultId,
    kind: 'unplannedFailover' as const,
    target: 'vm',
    startedBy: 'operator',
    startedAt: 0,
    requestDigest: 'd',
  };
  return {
    job: { ...head, input: { primary: { evidence: 'unreachable', reason: 'it burns' } } },
    graph: {
      steps: [
        {
          id: prepare,
          title: '',
          work: work('failover.execute'),
          undo: work('failover.cancel'),
          needs: [],
          after: [],
          scope: 'vm',
          attempts: 2,
        },
        { id: start, title: '', work: work('vm.start'), needs: [prepare], after: [], scope: 'vm', pivot: true, attempts: 2 },
      ],
    },
    claims: [{ id: protectedVm, phases: ['protected'], epoch: 1 }],
    newVms: [],
    ...over,
  };
}

export const earlierJob = newJob({
  job: { ...newJob({}).job, id: uuidOf('protect') as JobId, kind: 'protect', input: {} },
  graph: { steps: [] },
  claims: [],
  newVms: [
    {
      id: protectedVm,
      vaultId,
      pairingId: pairing,
      vmId: ref.vmId,
      name: 'vm',
      phase: 'enabling',
      activeLocation: 'primary',
      replicatesFrom: 'primary',
      epoch: 0,
      applied: noSettings,
      attempted: noSettings,
      createdAt: 0,
    },
  ],
  newPairing: {
    id: pairing,
    vaultId,
    name: 'p',
    primary: { siteId: reading, cloudId: atReading.cloudId },
    recovery: { siteId: slough, cloudId: ref.cloudId },
    policy: {} as never,
    networks: [],
    state: 'paired',
    replicaAddresses: { primary: null, recovery: null },
    createdAt: 0,
  },
});

export function sent(step: StepId, site: SiteId = slough, over: Partial<CommandToSend> = {}): TraceEvent {
  const kind = step === start ? 'vm.start' : 'failover.execute';
  const envelope = sealEnvelope(
    {
      commandId: commandOf(step) as CommandId,
      agentId: uuidOf('agent') as AgentId,
      vaultId,
      jobId: job,
      stepId: step,
      epoch: 1,
      sequence: 1,
      deadline: 60_000,
      command: { kind, args: { vm: ref } } as never,
      ...over,
    },
    keys.signer,
  );
  return { at: 0, type: 'toAgent', site, text: encodeCloudMessage({ type: 'commands', envelopes: [envelope] }) };
}

export const facts = (...some: Extract<TraceEvent, { type: 'facts' }>['facts'][number][]): TraceEvent => ({
  at: 0,
  type: 'facts',
  jobId: job,
  facts: some,
  projections: [],
});
export const began = (step: StepId, over: Partial<Extract<TraceEvent, { type: 'journal' }>> = {}): TraceEvent => ({
  at: 0,
  type: 'journal',
  site: slough,
  write: 'began',
  commandId: commandOf(step),
  epoch: 1,
  vm: ref,
  ...over,
});
export const call = (operation: 'startFailover' | 'startVm' | 'writeEpoch', step: StepId, epoch = 1): TraceEvent => ({
  at: 0,
  type: 'call',
  site: slough,
  operation,
  commandId: commandOf(step),
  epoch,
  vm: ref,
});
export const effect = (
  operation: 'startFailover' | 'startVm' | 'writeEpoch' | 'startTestFailover',
  step: StepId,
  over: object = {},
): TraceEvent => ({
  at: 0,
  type: 'effect',
  site: slough,
  task: {
    seq: 1,
    commandId: commandOf(step),
    epoch: 1,
    operation,
    cloudId: ref.cloudId,
    vmId: ref.vmId,
    beganAt: 0,
    endedAt: 0,
    hadEffect: true,
    outcome: 'done',
    code: null,
    ...over,
  },
});
export const power = (site: SiteId, change: 'on' | 'off', over: object = {}): TraceEvent => ({
  at: 0,
  type: 'power',
  site,
  change: {
    seq: 1,
    at: 0,
    ...(site === slough ? ref : atReading),
    host: 'h',
    change,
    cause: site === slough ? 'startVm' : 'siteFile',
    commandId: site === slough ? commandOf(start) : null,
    epoch: 1,
    ...over,
  },
});
export const told = (step: StepId): TraceEvent => ({
  at: 0,
  type: 'toCloud',
  site: slough,
  text: encodeEgress({
    type: 'command.finished',
    finished: [
      {
        commandId: commandOf(step) as CommandId,
        at: '2026-11-23T08:00:00.000Z',
        outcome: { status: 'failed', code: 'ERR_FABRIC_FAILED', logRef: '' },
      },
    ],
  }),
});
export const confirmed = (step: StepId): TraceEvent => ({
  at: 0,
  type: 'toAgent',
  site: slough,
  text: encodeCloudMessage({ type: 'finished.ack', commandIds: [commandOf(step) as CommandId] }),
});
export const opened = (over: Partial<NewJob> = {}): TraceEvent => ({ at: 0, type: 'opened', job: newJob(over) });
export const stored = (given: readonly TraceEvent[]): TraceEvent => {
  const jobs = given.flatMap((event): StoredJob[] => {
    if (event.type !== 'opened') return [];
    const own = given.flatMap((other) => (other.type === 'facts' && other.jobId === event.job.job.id ? other.facts : []));
    return [{ job: { ...event.job.job, endedAt: 0, state: 'succeeded' }, facts: own }];
  });
  return { at: 0, type: 'reread', jobs };
};

export const fact = {
  started: (step: StepId, attempt = 1) => ({ at: 0, type: 'started', step, attempt }) as const,
  done: (step: StepId, attempt = 1) => ({ at: 0, type: 'done', step, attempt, result: {} }) as const,
  failed: (step: StepId, attempt = 1, retry = false) =>
    ({ at: 0, type: 'failed', step, attempt, retry, error: { code: 'ERR_FABRIC_FAILED', logRef: '' } }) as const,
  undoStarted: (step: StepId, attempt = 1) => ({ at: 0, type: 'undoStarted', step, attempt }) as const,
  undone: (step: StepId, attempt = 1) => ({ at: 0, type: 'undone', step, attempt }) as const,
  ended: { at: 0, type: 'ended', state: 'succeeded' } as const,
};

/** The run as it should be. */
export function goodRun(): TraceEvent[] {
  const run: TraceEvent[] = [
    power(reading, 'on'),
    { at: 0, type: 'opened', job: earlierJob },
    { at: 0, type: 'facts', jobId: earlierJob.job.id, facts: [fact.ended], projections: [] },
    opened(),
    { at: 0, type: 'acknowledged', jobId: job },
    facts(fact.started(prepare)),
    sent(prepare),
    began(prepare),
    call('startFailover', prepare),
    effect('startFailover', prepare),
    { ...began(prepare), write: 'concluded' } as TraceEvent,
    told(prepare),
    facts(fact.done(prepare), fact.started(start)),
    confirmed(prepare),
    sent(start),
    began(start),
    call('writeEpoch', start),
    effect('writeEpoch', start),
    call('startVm', start),
    effect('startVm', start),
    power(slough, 'on'),
    { ...began(start), write: 'concluded' } as TraceEvent,
    told(start),
    facts(fact.done(start), fact.ended),
    confirmed(start),
  ];
  return [...run, stored(run), { at: 0, type: 'finished' }];
}
