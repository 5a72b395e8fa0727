/**
 * A step that a site was given up for may have been done there all the same. Before a person passes over it the site is looked at,
 * where it can be reached; where it cannot, nobody knows, and its VM is told as interrupted.
 */
import type { StepView } from '../../shared/engine/run-nodes.ts';
import type { CommandKind } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { FoundVm, SiteLooks } from './operations.ts';

const isFailedOver = ({ state }: FoundVm) => state === 'failedOver' || state === 'failedOverWaitingCompletion';

/** What tells that a command has reached its goal. */
const doneWhere: { readonly [K in CommandKind]?: (found: FoundVm | null) => boolean } = {
  'failover.commit': (found) => found?.state === 'failedOver',
  'failover.cancel': (found) => found === null || !isFailedOver(found),
  'failover.execute': (found) => found !== null && isFailedOver(found),
  'vm.start': (found) => found?.power === 'running',
  'replication.becomeReplica': (found) => found?.mode === 'replica',
  'replication.reverse': (found) => found?.mode === 'primary',
  'replication.disable': (found) => found === null || found.mode === 'none',
  'replication.enable': (found) => found?.mode === 'primary',
};

/** `unknown`: it was not given up, its site cannot be reached, or nothing tells. */
export async function lookAtGivenUp(
  view: StepView<StepWork> | undefined,
  looks: Pick<SiteLooks, 'lookAt'>,
): Promise<'done' | 'notDone' | 'unknown'> {
  const work = view?.step.work;
  const isDone = work && doneWhere[work.kind];
  if (view?.status !== 'failed' || view.error?.code !== 'ERR_SITE_GIVEN_UP' || !isDone || !('vm' in work.args) || !work.args.vm)
    return 'unknown';
  try {
    return isDone(await looks.lookAt(work.siteId, work.args.vm)) ? 'done' : 'notDone';
  } catch {
    return 'unknown';
  }
}
