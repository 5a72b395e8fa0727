/**
 * The report of a job, built from its record and its facts and from nothing else, so that whoever holds those can
 * recompute every number. Times of the job are by the clock of the control plane; what a site measured is named so.
 */

import type { ActionRecord, JobInput } from '../../shared/api/job-input.ts';
import { isMeasured, type MemberStatus, STEP_STATUSES } from '../../shared/api/jobs.ts';
import { memberStatus } from '../../shared/api/member-status.ts';
import type { ActionReportAnswer, ReportAnswer, VmReportAnswer } from '../../shared/api/report.ts';
import { isWordOnTheJob, wordsOnTheJob } from '../../shared/engine/facts.ts';
import type { Graph, Step } from '../../shared/engine/graph.ts';
import { RunState } from '../../shared/engine/run-state.ts';
import { errorCodes } from '../../shared/errors.ts';
import type { ProtectedVmId, StepId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { commands } from '../../shared/protocol/commands.ts';
import type { Job, StoredFact } from '../store/job-store.ts';
import { type OutlineMember, outlineOf } from './job-outline.ts';
import { siteTime } from './site-time.ts';
import { historiesOf, type StepHistory } from './step-history.ts';
import { type Interval, seconds, splitTime } from './time-split.ts';

export interface ReportParts {
  readonly job: Job;
  readonly graph: Graph<unknown>;
  readonly facts: readonly StoredFact[];
  /** Of VMs that the job's record does not name. */
  readonly names: ReadonlyMap<ProtectedVmId, string>;
}

/** What every line of the report is read from. */
interface Evidence extends ReportParts {
  readonly input: JobInput;
  readonly state: RunState<unknown>;
  readonly histories: ReadonlyMap<StepId, StepHistory>;
}

export function buildReport(parts: ReportParts): ReportAnswer {
  const { job, graph, facts } = parts;
  const { input, groups } = outlineOf(job, graph);
  const log = facts.map(({ fact }) => fact);
  const evidence: Evidence = { ...parts, input, state: new RunState(graph, log), histories: historiesOf(log) };
  const rows = groups.flatMap(({ name, members }) => members.map((member) => ({ group: name, member })));
  const vms = rows.flatMap(({ group, member }) => (member.action === null ? [memberReport(member, group, evidence)] : []));
  const leftOut = input.skipped ?? [];
  const { id, kind, target, state, startedBy } = job;
  return {
    job: { id, kind, target, state, startedBy, startedAt: isoMoment(job.startedAt), endedAt: moment(job.endedAt) },
    plan: input.planName && input.planVersion ? { name: input.planName, version: input.planVersion } : null,
    approval: input.approval ?? null,
    primary: input.primary ?? null,
    outageAt: moment(input.outageAt ?? null),
    rpoFrom: rpoFrom(kind, input),
    total: totalOf(vms, leftOut.length, evidence),
    vms,
    actions: rows.flatMap(({ group, member }) => (member.action === null ? [] : [actionReport(member, member.action, group, evidence)])),
    leftOut,
    decisions: decisionsOf(parts),
    facts: { count: facts.length, lastSeq: facts.at(-1)?.seq ?? 0 },
  };
}

function rpoFrom(kind: Job['kind'], { outageAt }: JobInput): ReportAnswer['rpoFrom'] {
  if (kind === 'plannedFailover') return 'shutdown';
  if (!isMeasured(kind)) return null;
  return outageAt == null ? 'start' : 'outage';
}

const outcomes: Record<MemberStatus, VmReportAnswer['outcome']> = {
  waiting: 'inProgress',
  running: 'inProgress',
  done: 'succeeded',
  skipped: 'skipped',
  notNeeded: 'notNeeded',
  failed: 'failed',
  undone: 'undone',
  waitsForPerson: 'waitsForPerson',
};

function memberReport(member: OutlineMember, group: string, evidence: Evidence): VmReportAnswer {
  const { job, input, histories } = evidence;
  const own = member.steps.flatMap((step) => histories.get(step.id) ?? []);
  const outcome = outcomes[statusOf(member, evidence)];
  const isOpen = outcome === 'inProgress' || outcome === 'waitsForPerson';
  const endedAt = isOpen ? null : latest(own.map((history) => history.endedAt));
  const hasMoved = isMeasured(job.kind);
  const servesAt = hasMoved && outcome === 'succeeded' ? endedAt : null;
  const point = resultOf(member, 'failover.execute', evidence) ?? resultOf(member, 'drill.copy', evidence);
  const { recoveryPointId, recoveryPointAt } = point ?? {
    recoveryPointId: null,
    recoveryPointAt: null,
  };
  const started = resultOf(member, 'vm.start', evidence) ?? resultOf(member, 'drill.start', evidence);
  // What the guest wrote until it was off was sent after that: the moment of the last changes is by the clock of the site.
  const lastChangesAt = resultOf(member, 'failover.prepare', evidence)?.lastChangesAt;
  const lostFrom = lastChangesAt === undefined ? (input.outageAt ?? job.startedAt) : Date.parse(lastChangesAt);
  return {
    vm: member.vm,
    name: nameOf(member, evidence),
    group,
    outcome,
    beganAt: moment(
      own.reduce<number | null>((first, { firstStartedAt: at }) => (at !== null && (first === null || at < first) ? at : first), null),
    ),
    endedAt: moment(endedAt),
    rtoSeconds: servesAt === null ? null : seconds(servesAt - job.startedAt),
    outageSeconds: servesAt === null || input.outageAt == null ? null : seconds(servesAt - input.outageAt),
    rpoSeconds: hasMoved && recoveryPointAt !== null ? seconds(lostFrom - Date.parse(recoveryPointAt)) : null,
    recoveryPointId,
    recoveryPointAt,
    runningAt: started?.runningAt ?? null,
    answeredAt: started?.answeredAt ?? null,
    split: endedAt === null ? null : splitOf({ from: job.startedAt, to: endedAt }, member.steps, histories),
    failures: member.steps.flatMap((step) => failuresOf(step, histories.get(step.id))),
  };
}

function actionReport(row: OutlineMember, action: ActionRecord, group: string, evidence: Evidence): ActionReportAnswer {
  const { name, when, member = null, step } = action;
  const history = evidence.histories.get(step);
  const waited = history?.forPerson.filter(({ to }) => Number.isFinite(to)) ?? [];
  const by = evidence.facts.findLast(({ fact }) => fact.type === 'decided' && fact.decision === 'confirm' && fact.step === step)?.fact;
  return {
    group,
    member,
    name,
    when,
    outcome: outcomes[statusOf(row, evidence)],
    beganAt: moment(history?.firstStartedAt ?? null),
    endedAt: moment(history?.endedAt ?? null),
    personSeconds: seconds(waited.reduce((sum, { from, to }) => sum + to - from, 0)),
    script: scriptOf(row.steps, history),
    confirmed: by?.type === 'decided' ? { at: isoMoment(by.at), by: by.by, comment: by.reason } : null,
    failures: row.steps.flatMap((one) => failuresOf(one, history)),
  };
}

/** What is known of it when it has ended: a failed one has its exit code. */
function scriptOf([step]: readonly Step<unknown>[], history: StepHistory | undefined): ActionReportAnswer['script'] {
  const work = step?.work as { kind?: unknown; args?: { name?: string; sha256?: string } } | undefined;
  const last = history?.atSite.at(-1);
  if (work?.kind !== 'script.run' || last === undefined || !Number.isFinite(last.to)) return null;
  const result = commands['script.run'].result.safeParse(history?.result).data;
  return {
    name: work.args?.name ?? '',
    sha256: work.args?.sha256 ?? '',
    exitCode: result?.exitCode ?? history?.failures.at(-1)?.error.exitCode ?? null,
    seconds: result === undefined ? seconds(last.to - last.from) : seconds(result.durationMs),
  };
}

function statusOf({ steps }: OutlineMember, { state }: Evidence): MemberStatus {
  return memberStatus(
    steps.map(({ id }) => {
      const status = state.view(id)?.status ?? STEP_STATUSES[0];
      return { status, waitsForPerson: state.waitsForPerson(id) };
    }),
  );
}

/** The result of the member's step that ran a command of this kind, if it is done. */
function resultOf<K extends 'failover.execute' | 'failover.prepare' | 'vm.start' | 'drill.copy' | 'drill.start'>(
  { steps }: OutlineMember,
  kind: K,
  { histories }: Evidence,
) {
  const step = steps.find(({ work }) => (work as { kind?: unknown } | undefined)?.kind === kind);
  const history = step && histories.get(step.id);
  return history?.doneAt == null ? null : ((commands[kind].result.safeParse(history.result).data ?? null) as ResultFor<K> | null);
}
type ResultFor<K extends keyof typeof commands> = ReturnType<(typeof commands)[K]['result']['parse']>;

function failuresOf({ id, title }: Step<unknown>, history: StepHistory | undefined): VmReportAnswer['failures'] {
  return (history?.failures ?? []).map(({ at, error: { code, logRef, exitCode }, isFinal }) => {
    const { cause, remedy } = errorCodes[code];
    return { step: id, title, at: isoMoment(at), isFinal, code, cause, remedy, logRef, ...(exitCode !== undefined && { exitCode }) };
  });
}

function totalOf(vms: readonly VmReportAnswer[], leftOut: number, { job, graph, facts, histories }: Evidence): ReportAnswer['total'] {
  const most = (values: readonly (number | null)[]) =>
    values.reduce((max, value) => (value !== null && (max === null || value > max) ? value : max), null);
  const succeeded = vms.filter(({ outcome }) => outcome === 'succeeded').length;
  const end = job.endedAt ?? facts.at(-1)?.fact.at ?? null;
  return {
    vms: vms.length,
    succeeded,
    failed: vms.filter(({ outcome }) => outcome === 'failed' || outcome === 'undone').length,
    skipped: vms.filter(({ outcome }) => outcome === 'skipped').length,
    leftOut,
    rtoSeconds: most(vms.map(({ rtoSeconds }) => rtoSeconds)),
    outageSeconds: most(vms.map(({ outageSeconds }) => outageSeconds)),
    rpoSeconds: most(vms.map(({ rpoSeconds }) => rpoSeconds)),
    split: end === null ? null : splitOf({ from: job.startedAt, to: end }, graph.steps, histories),
  };
}

function splitOf(whole: Interval, steps: readonly Step<unknown>[], histories: Evidence['histories']) {
  const spans = steps.flatMap((step) => {
    const history = histories.get(step.id);
    return history ? [{ ...siteTime(step, history), person: history.forPerson }] : [];
  });
  return splitTime(whole, {
    fabric: spans.flatMap(({ fabric }) => fabric),
    guest: spans.flatMap(({ guest }) => guest),
    checks: spans.flatMap(({ checks }) => checks),
    person: spans.flatMap(({ person }) => person),
  });
}

function decisionsOf({ graph, facts }: ReportParts): ReportAnswer['decisions'] {
  const titles = new Map(graph.steps.map(({ id, title }) => [id, title]));
  return facts.flatMap(({ fact }): ReportAnswer['decisions'] => {
    if (fact.type !== 'decided' && !isWordOnTheJob(fact)) return [];
    const said = { at: isoMoment(fact.at), by: fact.by, reason: fact.reason };
    if (fact.type === 'decided') return [{ ...said, what: fact.decision, step: fact.step, title: titles.get(fact.step) ?? null }];
    return [{ ...said, what: wordsOnTheJob[fact.type], step: null, title: null }];
  });
}

function nameOf({ vm, name }: OutlineMember, { names }: Evidence): string {
  return vm !== null && name === vm ? (names.get(vm) ?? name) : name;
}

/** Null as soon as one has not ended. */
function latest(moments: readonly (number | null)[]): number | null {
  if (moments.length === 0 || moments.includes(null)) return null;
  return Math.max(...moments.filter((at) => at !== null));
}

function moment(at: number | null): string | null {
  return at === null ? null : isoMoment(at);
}
