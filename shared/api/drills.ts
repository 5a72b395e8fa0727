/** Drills as people see them: a test failover together with its clean-up, and whether it counts as passed. */
import { z } from 'zod';
import { DRILL_OUTCOMES } from '../domain/drill.ts';
import { JobState } from '../engine/facts.ts';
import { JobId } from '../ids.ts';
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
