/**
 * Starts an operation and watches its job. The id is chosen here, so a request whose answer got lost is sent again and is
 * the same job.
 */

import type { Command } from 'commander';
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { RouteAnswer, RouteCall } from '../../shared/api/routes.ts';
import { toFarshoreError } from '../../shared/errors.ts';
import { JobId } from '../../shared/ids.ts';
import { pause } from '../../shared/ports.ts';
import type { Client } from './client.ts';
import { EXIT, exitCodeOfJob } from './exit-codes.ts';
import { jsonText } from './output.ts';
import { followJob } from './progress/follow-job.ts';
import { summaryOf } from './progress/summary.ts';
import { watcherFor } from './progress/watchers.ts';
import { jobTitle } from './progress/words.ts';
import type { Session } from './session.ts';

type Started = RouteCall<'startOperation'>['body'];
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
export type OperationWish = WithoutId<Started>;

export interface FollowOptions {
  readonly follow: boolean;
}

export const withFollow = (command: Command) => command.option('--no-follow', 'start it and do not watch it');

const TRIES = 5;
const BETWEEN_TRIES_MS = 1_000;

export function runOperation(session: Session, client: Client, wish: OperationWish, options: FollowOptions): Promise<number> {
  const start = (id: JobId) => client.call('startOperation', { body: { ...wish, id } as Started & { id: OperationRequest['id'] } });
  return startAndWatch(session, client, start, options);
}

type Start = (id: JobId) => Promise<RouteAnswer<'startOperation'>>;

export async function startAndWatch(session: Session, client: Client, start: Start, { follow }: FollowOptions): Promise<number> {
  const { surroundings, output } = session;
  const id = JobId.parse(surroundings.random.uuid());
  const job = await startSurely(session, () => start(id));
  if (follow) return watchJob(session, client, job.id);
  output.show(job, () => `${jobTitle(job)}: job ${job.id}; watch it with: farshore jobs show ${job.id} --follow`);
  return EXIT.ok;
}

async function startSurely({ surroundings }: Session, start: () => ReturnType<Start>): ReturnType<Start> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (thrown) {
      if (toFarshoreError(thrown).code !== 'ERR_CONTROL_PLANE_UNREACHABLE' || tries === TRIES) throw thrown;
      await pause(surroundings.clock, BETWEEN_TRIES_MS);
    }
  }
}

export async function watchJob({ surroundings, output }: Session, client: Client, id: JobId): Promise<number> {
  const { detail, isInterrupted } = await followJob(client, id, watcherFor(surroundings, output), surroundings);
  if (isInterrupted) {
    output.note(`the job goes on; watch it again with: farshore jobs show ${id} --follow`);
    return EXIT.interrupted;
  }
  output.line(output.isJson ? jsonText({ type: 'summary', job: detail }) : summaryOf(detail, output));
  return exitCodeOfJob(detail.state);
}
