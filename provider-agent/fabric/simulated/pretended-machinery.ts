/** The machinery of a simulated site: nothing is done, and it takes as long as the site file says. */
import type { Random } from '../../../shared/ports.ts';
import type { Machinery } from '../site/machinery.ts';
import type { Operation } from '../site/operation.ts';
import type { Traits, VmRecord } from '../site/vm-record.ts';
import { readCarried, writeCarried } from './carried-copy.ts';
import { type Distribution, draw } from './distribution.ts';
import type { SiteDefinition } from './site-definition.ts';

/** Of a VM whose guest takes another time to start than the others of its site. */
export interface PretendedTraits extends Traits {
  readonly guestStart?: Distribution | undefined;
}

const nothing = async () => {};

export function pretendedMachinery({ timings, bandwidthBytesPerSecond }: SiteDefinition, random: Random, now: () => number): Machinery {
  return {
    takesMs: (operation: Operation) => draw(timings[operation], random),
    copyMs: (bytes: number) => (bytes / bandwidthBytesPerSecond) * 1000,
    guestStartMs: ({ traits }: VmRecord) => draw((traits as PretendedTraits | undefined)?.guestStart ?? timings.guestStart, random),
    open: nothing,
    close: nothing,
    inTurn: (_subject, work) => work(),
    traitsForReplica: () => ({}),
    start: nothing,
    shutDown: nothing,
    switchOff: nothing,
    guestAnswers: async ({ guestAnswersAt }: VmRecord) => guestAnswersAt !== null && now() >= guestAnswersAt,
    remove: nothing,
    writeNote: nothing,
    failOver: nothing,
    takeBack: nothing,
    commit: nothing,
    becomePrimary: nothing,
    becomeReplica: nothing,
    endReplication: nothing,
    makeTestCopy: nothing,
    exportFirstCopy: async (primary, point, folder) => writeCarried(primary, point, folder),
    importFirstCopy: async (replica, folder) => readCarried(replica, folder),
    makeDrillNetwork: nothing,
    removeDrillNetwork: nothing,
    exposure: async (_network, booked) => booked,
  };
}
