/** The tests that every kind of operation has to pass; its file calls this and says nothing more. */

import { rmSync } from 'node:fs';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type CaseName, faultCase } from './fault-cases.ts';
import {
  bearsRepeats,
  endsCleanlyWhereverACallFails,
  getsOverACallThatFailsOnce,
  mayBeCancelledAnywhere,
  survivesACrashOfAnAgent,
  survivesACrashOfTheControlPlane,
  survivesADiskThatFails,
  survivesALostLine,
  survivesTwoFaults,
  waitsForAPerson,
} from './operation-faults.ts';
import { countRuns, type FaultCase } from './operation-runs.ts';

const hurts: readonly (readonly [title: string, hurt: (operation: FaultCase) => Promise<unknown>])[] = [
  ['ends as if nothing had happened when the control plane dies at any entry of its log', survivesACrashOfTheControlPlane],
  ['ends as if nothing had happened when an agent dies at any write or call', survivesACrashOfAnAgent],
  ['ends as if nothing had happened when two faults come one upon the other', survivesTwoFaults],
  ['ends as if nothing had happened when any write fails', survivesADiskThatFails],
  ['ends as if nothing had happened when the line is cut at any message', survivesALostLine],
  ['ends as if nothing had happened when everything comes twice', bearsRepeats],
  ['gets over any call that fails or hangs once, before or after its effect', getsOverACallThatFailsOnce],
  ['ends undone, parked or with failures wherever a call fails for good, as its graph says', endsCleanlyWhereverACallFails],
  ['waits for a person where it is parked, who retries, skips or cancels', waitsForAPerson],
  ['may be cancelled after any entry of its log, and leaves every VM done or as before', mayBeCancelledAnywhere],
];

export function hurtEverywhere(kind: CaseName): void {
  describe(kind, () => {
    let operation: FaultCase;
    let all = 0;
    before(async () => {
      operation = await faultCase(kind);
    });
    after((t) => {
      rmSync(operation.template.folder, { recursive: true, force: true });
      // A hook of a suite is given the suite's own context, which has no diagnostic in the types.
      (t as unknown as TestContext).diagnostic?.(`fault runs: ${kind} ${all}`);
    });
    for (const [title, hurt] of hurts) {
      test(`${kind} ${title}`, async (t) => {
        await hurt(operation);
        const runs = countRuns();
        all += runs;
        t.diagnostic(`fault runs: ${kind} ${runs}, ${all} so far`);
      });
    }
  });
}
