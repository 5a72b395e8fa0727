/** Handlers of failover.* and vm.start: a replica becomes the VM that runs, or goes back to being a replica. */
import { FarshoreError } from '../../shared/errors.ts';
import { isOfSameStep, type VmRef } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { RecoveryPointChoice, ResultOf } from '../../shared/protocol/commands.ts';
import type { RecoveryPoint, VmView } from '../fabric/fabric.ts';
import type { HandlerContext, Handlers } from './handlers.ts';
import { findExisting, isFailedOver, poll, reach, wrongState } from './reach.ts';

type FailoverKind = 'failover.execute' | 'failover.findPoint' | 'failover.cancel' | 'failover.commit' | 'vm.start';

/** How long a start that another run of this command began may still take. */
export const STARTING_MS = 300_000;

export const failoverHandlers: Pick<Handlers, FailoverKind> = {
  async 'failover.execute'({ vm: ref, recoveryPoint: choice }, context) {
    context.progress('failingOver');
    const vm = await reach(
      {
        ref,
        // What another step failed over stands on another point, and has taken no changes since.
        isReached: (found) => isOwn(found, context),
        async act(found) {
          if (found.replication.mode !== 'replica') throw wrongState(found, 'only a replica is failed over');
          if (isFailedOver(found)) refuseIfInUse(found);
          const point = await choosePoint(choice, ref, context);
          if (isFailedOver(found)) await takeBack(ref, () => false, context);
          // The latest is left to the fabric: one newer than ours may arrive before the failover.
          await context.fabric.startFailover(ref, choice.choose === 'latest' ? null : point.id, context.act);
        },
      },
      context,
    );
    return pointResult(vm?.failover?.recoveryPoint ?? null);
  },

  async 'failover.findPoint'({ vm: ref, recoveryPoint: choice }, context) {
    await findExisting(ref, context);
    return pointResult(await choosePoint(choice, ref, context));
  },

  async 'failover.cancel'({ vm: ref, onlyOwn }, context) {
    context.progress('cleaningUp');
    await takeBack(ref, (vm) => onlyOwn === true && !isOwn(vm, context), context);
    return {};
  },

  async 'failover.commit'({ vm: ref, onlyRunning }, context) {
    const found = onlyRunning ? await findExisting(ref, context) : null;
    if (found !== null && found.power !== 'running') throw wrongState(found, 'only a VM that runs there is kept there');
    await reach(
      {
        ref,
        isReached: (vm) => vm?.replication.state === 'failedOver',
        async act(vm) {
          if (!isFailedOver(vm)) throw wrongState(vm, 'only a VM that was failed over is committed');
          await context.fabric.completeFailover(ref, context.act);
        },
      },
      context,
    );
    return {};
  },

  async 'vm.start'({ vm: ref, guestAnswersWithinSeconds, startsPerHost }, context) {
    const start = () => startVm(ref, guestAnswersWithinSeconds, context);
    const host = startsPerHost === undefined ? null : await context.fabric.hostOf(ref);
    return startsPerHost === undefined || host === null ? start() : context.turns.run(host, startsPerHost, start);
  },
};

/** When the guest of a VM that runs answered; null where nobody waits for it. Throws ERR_GUEST_SILENT. */
export async function guestAnswer(ref: VmRef, withinSeconds: number, context: HandlerContext): Promise<string | null> {
  if (withinSeconds === 0) return null;
  context.progress('waitingForGuest');
  const until = context.clock.now() + withinSeconds * 1000;
  const hasAnswered = await poll(context, async () => ((await context.fabric.guestAnswers(ref)) ? true : null), until);
  if (hasAnswered === null) throw new FarshoreError('ERR_GUEST_SILENT', 'the VM runs, and its guest has not answered in time');
  return isoMoment(context.clock.now());
}

function pointResult(point: RecoveryPoint | null) {
  if (point === null) throw new FarshoreError('ERR_FABRIC_FAILED', 'the fabric does not tell which point the VM was failed over to');
  return { recoveryPointId: point.id, recoveryPointAt: isoMoment(point.at) };
}

/** It was failed over by this command or by another attempt of its step, which was asked for the same point. */
function isOwn(vm: VmView | null, { act }: HandlerContext): boolean {
  const note = vm?.failover ?? null;
  return note !== null && isOfSameStep(note.commandId, act.commandId);
}

/** Off and a replica again, except where it is to be left as it is. */
async function takeBack(ref: VmRef, isLeft: (vm: VmView) => boolean, context: HandlerContext): Promise<void> {
  await reach(
    {
      ref,
      isReached: (vm) => vm === null || !isFailedOver(vm) || isLeft(vm),
      async act(vm) {
        if (vm.replication.state === 'failedOver') throw wrongState(vm, 'a committed failover cannot be taken back');
        await context.fabric.stopFailover(ref, context.act);
      },
    },
    context,
  );
}

/** A failover that is not ours, such as one that was broken off, is taken back for ours; but not while somebody may work on it. */
function refuseIfInUse({ power, replication: { state } }: VmView): void {
  if (power !== 'off' || state === 'failedOver')
    throw new FarshoreError('ERR_REPLICA_FAILED_OVER', `the replica is ${power}, and ${state} by another job`);
}

/** Its epoch is written first, then it is started, and its guest is waited for. */
async function startVm(ref: VmRef, guestAnswersWithinSeconds: number, context: HandlerContext): Promise<ResultOf<'vm.start'>> {
  context.progress('starting');
  await raiseEpoch(ref, context);
  await poll(
    context,
    async () => ((await findExisting(ref, context)).power === 'starting' ? null : true),
    context.clock.now() + STARTING_MS,
  );
  await reach({ ref, isReached: (vm) => vm?.power === 'running', act: () => context.fabric.startVm(ref, context.act) }, context);
  const runningAt = isoMoment(context.clock.now());
  return { runningAt, answeredAt: await guestAnswer(ref, guestAnswersWithinSeconds, context) };
}

/** The fence: whoever finds the VM later sees under which decision it was started, so this comes before the start. */
export async function raiseEpoch(ref: VmRef, context: HandlerContext): Promise<void> {
  const { epoch } = context.act;
  await reach(
    { ref, isReached: (vm) => vm !== null && vm.epoch >= epoch, act: () => context.fabric.writeEpoch(ref, epoch, context.act) },
    context,
  );
}

export async function choosePoint(choice: RecoveryPointChoice, ref: VmRef, { fabric }: HandlerContext): Promise<RecoveryPoint> {
  const points = await fabric.recoveryPoints(ref);
  const fitting = points.filter((point) => {
    if (choice.choose === 'given') return point.id === choice.id;
    return choice.choose === 'latest' || point.kind === 'applicationConsistent';
  });
  const newest = fitting.reduce<RecoveryPoint | null>((best, point) => (best === null || point.at > best.at ? point : best), null);
  if (newest === null) throw new FarshoreError('ERR_NO_RECOVERY_POINT', 'the replica has no recovery point of the kind asked for');
  return newest;
}
