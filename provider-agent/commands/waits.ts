/** Handlers of wait.*: they look, ever less often, until it is so. What keeps them from looking for a while means "not yet", never a failure. */
import { errorCodes, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { VmRef } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { WaitCondition } from '../../shared/protocol/commands.ts';
import type { ReplicationView } from '../fabric/fabric.ts';
import type { HandlerContext, Handlers } from './handlers.ts';
import { findExisting, poll, wrongState } from './reach.ts';
import { comesToReplicate } from './replication.ts';

/** One look may take so long; a port behind a silent firewall must not use up the whole time. */
const LOOK_MS = 5_000;

export const waitHandlers: Pick<Handlers, 'wait.until' | 'wait.copied' | 'wait.exported'> = {
  async 'wait.until'({ condition, withinSeconds }, context) {
    context.progress('waitingForCondition');
    const until = context.clock.now() + withinSeconds * 1000;
    let lastFailure: unknown;
    const look = async () => {
      try {
        return (await isSo(condition, context)) ? true : null;
      } catch (thrown) {
        lastFailure = thrown;
        return null;
      }
    };
    if ((await poll(context, look, until)) === null)
      throw new FarshoreError('ERR_WAIT_TIMEOUT', `not within ${withinSeconds} s: ${wordsOf(condition)}`, { cause: lastFailure });
    return { metAt: isoMoment(context.clock.now()) };
  },

  async 'wait.copied'({ vm: ref }, context) {
    context.progress('copying');
    const at = await poll(context, () => copiedAt(ref, context));
    return { recoveryPointAt: isoMoment(at ?? context.clock.now()) };
  },

  async 'wait.exported'({ vm: ref }, context) {
    context.progress('copying');
    await poll(context, () => exportedAt(ref, context));
    return {};
  },
};

/** When what arrived last was sent; null: not all has. Throws where no copying leads there any more. */
function copiedAt(ref: VmRef, context: HandlerContext): Promise<number | null> {
  return whileOnTheWay(ref, context, ({ state, lastPointAt }) => (state === 'replicating' ? lastPointAt : null));
}

/** Null: not all of it stands in the folder. Once it was taken in at the other side it replicates. */
function exportedAt(ref: VmRef, context: HandlerContext): Promise<true | null> {
  return whileOnTheWay(ref, context, ({ state }) => (state === 'waitingForInitialReplication' || state === 'replicating' ? true : null));
}

async function whileOnTheWay<T>(ref: VmRef, context: HandlerContext, look: (found: ReplicationView) => T | null): Promise<T | null> {
  try {
    const vm = await findExisting(ref, context);
    if (!comesToReplicate(vm)) throw wrongState(vm, 'the copying was interrupted');
    return look(vm.replication);
  } catch (thrown) {
    const error = toFarshoreError(thrown);
    if (errorCodes[error.code].retryable) return null;
    throw error;
  }
}

async function isSo(condition: WaitCondition, { network, fabric }: HandlerContext): Promise<boolean> {
  switch (condition.kind) {
    case 'tcp':
      return network.connects(condition.host, condition.port, LOOK_MS);
    case 'http':
      return (await network.httpStatus(condition.url, LOOK_MS)) === condition.status;
    case 'guest': {
      const guest = condition.isTestCopy ? (await fabric.findTestCopy(condition.guest))?.ref : condition.guest;
      return guest !== undefined && fabric.guestAnswers(guest);
    }
  }
}

function wordsOf(condition: WaitCondition): string {
  switch (condition.kind) {
    case 'tcp':
      return `${condition.host}:${condition.port} takes a connection`;
    case 'http':
      return `${condition.url} answers with ${condition.status}`;
    case 'guest':
      return `the guest of VM ${condition.guest.vmId} answers`;
  }
}
