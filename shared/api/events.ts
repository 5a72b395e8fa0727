/**
 * The event stream (Server-Sent Events). Without a job: what has changed, as ids; who listens reads again. With `?job=`: the
 * facts of the job in their order, each with its number as the event's id, so that `Last-Event-ID` resumes where a
 * connection broke; and the stages of running steps, which are not durable.
 */
import { z } from 'zod';
import { Fact } from '../engine/facts.ts';
import { JobId, SiteId, StepId } from '../ids.ts';
import { Stage } from '../protocol/commands.ts';

export const EventsQuery = z.object({ job: JobId.optional() });

/** The name of the event -> its data. */
export const eventData = {
  job: z.object({ jobId: JobId }),
  site: z.object({ siteId: SiteId }),
  vms: z.object({}),
  rules: z.object({}),
  fact: Fact,
  stage: z.object({ step: StepId, stage: Stage }),
} as const;
export type EventName = keyof typeof eventData;
