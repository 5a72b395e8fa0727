/**
 * Jobs as documents that outlive the vault: JSON with everything, CSV with a row for each step. Pure. Only facts that the answer
 * about the job tells of are taken along, so that a job that still runs is exported as it was at one moment.
 */
import type { JobDetailAnswer, StepAnswer, StoredFactAnswer } from '../../shared/api/jobs.ts';
import type { ReportAnswer } from '../../shared/api/report.ts';
import { isWordOnTheJob, wordsOnTheJob } from '../../shared/engine/facts.ts';
import type { StepId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { csvText } from './csv.ts';

export interface ExportedDecision {
  readonly at: string;
  readonly by: string;
  readonly what: ReportAnswer['decisions'][number]['what'];
  /** Null: of the job as a whole. */
  readonly step: StepId | null;
  readonly reason: string;
}

export interface ExportedJob extends JobDetailAnswer {
  readonly decisions: readonly ExportedDecision[];
  readonly facts: readonly StoredFactAnswer[];
}

export function exportedJob(job: JobDetailAnswer, log: readonly StoredFactAnswer[]): ExportedJob {
  const facts = log.filter(({ seq }) => seq <= job.lastSeq);
  return { ...job, decisions: facts.flatMap(decisionOf), facts };
}

function decisionOf({ fact }: StoredFactAnswer): ExportedDecision[] {
  if (fact.type !== 'decided' && !isWordOnTheJob(fact)) return [];
  const { by, reason } = fact;
  const what = fact.type === 'decided' ? fact.decision : wordsOnTheJob[fact.type];
  return [{ at: isoMoment(fact.at), by, what, step: fact.type === 'decided' ? fact.step : null, reason }];
}

const HEADS = [
  'job id',
  'kind',
  'target',
  'started by',
  'group',
  'member',
  'step',
  'status',
  'attempts',
  'started at',
  'ended at',
  'seconds',
  'error code',
  'cause',
  'remedy',
  'decided by',
  'reason',
] as const;

/** Decisions about a job as a whole are in the JSON only: no row is theirs. */
export function csvOfJobs(jobs: readonly ExportedJob[]): string {
  const rows = jobs.flatMap((job) =>
    job.groups.flatMap((group) =>
      group.members.flatMap((member) =>
        member.steps.map((step) => [
          job.id,
          job.kind,
          job.target,
          job.startedBy,
          group.name,
          member.name,
          ...stepCells(step),
          ...decisionCells(job.decisions, step.id),
        ]),
      ),
    ),
  );
  return csvText(HEADS, rows);
}

function stepCells({ title, status, attempt, startedAt, endedAt, error }: StepAnswer): (string | number | null)[] {
  const seconds = startedAt === null || endedAt === null ? null : (Date.parse(endedAt) - Date.parse(startedAt)) / 1000;
  return [title, status, attempt, startedAt, endedAt, seconds, error?.code ?? null, error?.cause ?? null, error?.remedy ?? null];
}

/** A step may have been decided more than once: all of them, in order. */
function decisionCells(decisions: readonly ExportedDecision[], step: StepId): [string, string] {
  const own = decisions.filter((decision) => decision.step === step);
  return [own.map(({ by }) => by).join('; '), own.map(({ what, reason }) => `${what}: ${reason}`).join('; ')];
}
