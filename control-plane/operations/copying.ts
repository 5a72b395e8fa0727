/**
 * The wait for a copying that was begun. It takes as long as the line needs, so nothing limits it; it only looks, and ends with the
 * copying, by a cancel, or when a person gives up either end.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import type { Step } from '../../shared/engine/graph.ts';
import type { ProtectedVmId, SiteId, StepId, VmRef } from '../../shared/ids.ts';
import type { StepMarks, StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS } from './compile.ts';

interface Copying {
  readonly vm: { readonly id: ProtectedVmId; readonly name: string; readonly epoch: number };
  readonly source: { readonly siteId: SiteId; readonly ref: VmRef };
  readonly target: { readonly siteId: SiteId };
  readonly begunBy: StepId;
  readonly marks: StepMarks;
  /** Nothing is copied before. */
  readonly beginsAt?: string;
}

export function untilCopied({
  vm: { id, name, epoch },
  source,
  target,
  begunBy,
  marks,
  beginsAt,
}: Copying): Step<StepWork> & { readonly work: StepWork } {
  return {
    id: stepOf('copied', id),
    title: `wait until ${name} is copied${beginsAt === undefined ? '' : `, which begins at ${beginsAt}`}`,
    work: {
      siteId: source.siteId,
      ...(target.siteId !== source.siteId && { otherEnd: target.siteId }),
      epoch,
      beginWithinSeconds: BEGIN_WITHIN_SECONDS,
      kind: 'wait.copied',
      args: { vm: source.ref },
      vm: { id, marks },
    },
    looksOnly: true,
    skipEndsScope: true,
    needs: [begunBy],
    after: [],
    scope: id,
    attempts: 3,
  };
}
