/** Drills as people see them: a test failover together with its clean-up, and whether it counts as passed. */
import { z } from 'zod';
import { DRILL_OUTCOMES } from '../domain/drill.ts';
import { DrillSchedule } from '../domain/drill-schedule.ts';
import { JobState } from '../engine/facts.ts';
import { JobId, PlanId } from '../ids.ts';
import { Moment } from './fields.ts';

export const DrillAnswer = z
  .object({
    id: JobId.meta({ description: 'of the job of the test failover' }),
    target: z.string(),
    startedBy: z.string(),
    startedAt: Moment,
    endedAt: Moment.nullable().meta({ description: 'when its test copies ran' }),
    state: JobState.meta({ description: 'of the job of the test failover' }),
    vms: z.int(),
    copiesLeft: z.int().meta({ description: 'protected VMs whose test copies are there, or may be' }),
    verdict: z.enum(['open', ...DRILL_OUTCOMES]).meta({
      description:
        'passed: every test copy ran, a person said passed, and every copy was cleaned up; open: not cleaned up; failed also where a VM was unprotected by force with its copy there',
    }),
    cleansUpAt: Moment.nullable().meta({
      description: 'when its copies are cleaned up by themselves; null: when somebody does it, or there are none',
    }),
    cleanUp: z
      .object({
        job: JobId,
        by: z.string(),
        startedAt: Moment,
        endedAt: Moment.nullable(),
        state: JobState,
        outcome: z.enum(DRILL_OUTCOMES).meta({ description: 'what the person said' }),
        notes: z.string(),
      })
      .nullable()
      .meta({ description: 'the last one' }),
  })
  .meta({ id: 'Drill' });
export type DrillAnswer = z.infer<typeof DrillAnswer>;

/** A plan that says how often it is drilled. */
export const DrillScheduleAnswer = z
  .object({
    plan: z.object({ id: PlanId, name: z.string(), version: z.int() }),
    schedule: DrillSchedule,
    last: z
      .object({ drill: JobId, startedAt: Moment, startedBy: z.string() })
      .nullable()
      .meta({ description: 'whoever started it; null: it was never drilled, or the vault does not keep that any more' }),
    nextAt: Moment.meta({ description: 'when it is drilled next; in the past while that is not possible' }),
    issues: z
      .array(z.object({ issue: z.enum(['drillOverdue']), cause: z.string(), remedy: z.string() }))
      .meta({ description: 'that it is overdue, and what keeps it from beginning now' }),
  })
  .meta({ id: 'PlanDrillSchedule' });
export type DrillScheduleAnswer = z.infer<typeof DrillScheduleAnswer>;
