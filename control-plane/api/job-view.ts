/** A job as the API shows it: its outline with the state of every step, folded from the facts. Pure. */
import type { AwaitedAgent, HeldJob, JobAnswer, JobDetailAnswer, StepAnswer } from '../../shared/api/jobs.ts';
import { memberStatus } from '../../shared/api/member-status.ts';
import { type Fact, holdOf } from '../../shared/engine/facts.ts';
import type { Graph, Step } from '../../shared/engine/graph.ts';
import type { StepStatus } from '../../shared/engine/run-nodes.ts';
import { RunState } from '../../shared/engine/run-state.ts';
import { errorCodes } from '../../shared/errors.ts';
import type { ProtectedVmId, SiteId, StepId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Stage } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { outlineOf } from '../reports/job-outline.ts';
import { historiesOf } from '../reports/step-history.ts';
import type { Job, StoredFact } from '../store/job-store.ts';

export function jobAnswer({ id, kind, target, startedBy, startedAt, endedAt, state }: Job): JobAnswer {
  return { id, kind, target, startedBy, startedAt: isoMoment(startedAt), endedAt: endedAt === null ? null : isoMoment(endedAt), state };
}

export interface JobParts {
  readonly job: Job;
  readonly graph: Graph<StepWork>;
  readonly facts: readonly StoredFact[];
  /** Of VMs that the job's record does not name. */
  readonly names: ReadonlyMap<ProtectedVmId, string>;
  readonly stageOf: (step: StepId) => Stage | null;
  readonly agentOf: (site: SiteId) => SeenAgent;
  /** Of VMs that the job moved and that are not committed yet. */
  readonly takesItselfBackAt: number | null;
  readonly now: number;
}

/** The agent of a site, as it is seen now. */
export interface SeenAgent {
  readonly siteName: string;
  readonly isConnected: boolean;
  readonly lastHeardAt: number | null;
}

export function jobDetail({ job, graph, facts, names, stageOf, agentOf, takesItselfBackAt, now }: JobParts): JobDetailAnswer {
  const { input, groups } = outlineOf(job, graph);
  const log = facts.map(({ fact }) => fact);
  const state = new RunState(graph, log);
  const histories = historiesOf(log);
  const comments = new Map(
    log.flatMap((fact) => (fact.type === 'decided' && fact.decision === 'confirm' ? [[fact.step, fact.reason]] : [])),
  );
  const stepAnswer = ({ id, title, asks }: Step<unknown>): StepAnswer => {
    const view = state.view(id);
    const history = histories.get(id);
    const error = view?.error ?? null;
    return {
      id,
      title,
      status: job.endedAt === null ? (view?.status ?? 'waiting') : endedStatus(view?.status),
      attempt: view?.attempt ?? 0,
      startedAt: moment(history?.firstStartedAt),
      endedAt: moment(history?.endedAt),
      stage: stageOf(id),
      error: error && { ...error, cause: errorCodes[error.code].cause, remedy: errorCodes[error.code].remedy },
      waitsForPerson: state.waitsForPerson(id),
      instruction: asks ?? null,
      comment: comments.get(id) ?? null,
    };
  };
  return {
    ...jobAnswer(job),
    lastSeq: facts.at(-1)?.seq ?? 0,
    groups: groups.map(({ name, members }) => ({
      name,
      members: members.map((member) => {
        const steps = member.steps.map(stepAnswer);
        const known = member.vm === null ? undefined : names.get(member.vm);
        return {
          vm: member.vm,
          isAction: member.action !== null,
          name: member.name === member.vm ? (known ?? member.name) : member.name,
          status: memberStatus(steps),
          steps,
        };
      }),
    })),
    held: heldJob(log, (site) => agentOf(site).siteName),
    awaitedAgents: job.endedAt === null ? awaitedAgents(state, log, agentOf, now) : [],
    byRule: input.byRule ?? null,
    leftOut: input.skipped ?? [],
    approval: input.approval ?? null,
    reason: input.reason ?? input.primary?.reason ?? null,
    cancelled: cancelOf(log),
    restartOf: input.restartOf ?? null,
    takesItselfBackAt: moment(takesItselfBackAt),
  };
}

function cancelOf(log: readonly Fact[]): JobDetailAnswer['cancelled'] {
  const fact = log.find(({ type }) => type === 'cancelled');
  return fact?.type === 'cancelled' ? { at: isoMoment(fact.at), by: fact.by, reason: fact.reason } : null;
}

/** What was left when a held job ended as it stood. */
function endedStatus(status: StepStatus = 'waiting'): StepStatus {
  return status === 'waiting' || status === 'running' || status === 'undoing' ? 'skipped' : status;
}

function heldJob(log: readonly Fact[], nameOf: (site: SiteId) => string): HeldJob | null {
  const hold = holdOf(log);
  if (hold === null) return null;
  const { cause, remedy } = errorCodes[hold.code];
  return { code: hold.code, cause, remedy, since: isoMoment(hold.at), sites: hold.sites.map(({ site }) => nameOf(site as SiteId)) };
}

/** Whom the job waits for in vain at the moment, and how much has waited too long. */
function awaitedAgents(state: RunState<StepWork>, log: readonly Fact[], agentOf: JobParts['agentOf'], now: number): AwaitedAgent[] {
  const handedOutAt = new Map<StepId, number>();
  for (const fact of log) if (fact.type === 'started' || fact.type === 'undoStarted') handedOutAt.set(fact.step, fact.at);
  const open = [...state.views()].flatMap(({ step, status }) => {
    const work = status === 'running' ? step.work : status === 'undoing' ? step.undo : undefined;
    if (!work) return [];
    const { siteId, otherEnd, beginWithinSeconds } = work;
    const beginBy = (handedOutAt.get(step.id) ?? now) + beginWithinSeconds * 1000;
    // Nothing is to be begun at the other end.
    return [{ siteId, beginBy }, ...(otherEnd ? [{ siteId: otherEnd, beginBy: Number.POSITIVE_INFINITY }] : [])];
  });
  return [...Map.groupBy(open, ({ siteId }) => siteId)].flatMap(([siteId, steps]) => {
    const { siteName, isConnected, lastHeardAt } = agentOf(siteId);
    if (isConnected) return [];
    const overdueSteps = steps.filter(({ beginBy }) => beginBy < now).length;
    return [{ site: siteName, siteId, lastHeardAt: moment(lastHeardAt), steps: steps.length, overdueSteps }];
  });
}

function moment(at: number | null | undefined): string | null {
  return at == null ? null : isoMoment(at);
}
