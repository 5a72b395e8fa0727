/**
 * The time that a site had a step in hand, as work of the fabric, as waiting for a guest, and as actions of a plan. The moments in the result of
 * `vm.start` (and `drill.start`, which has the same) are by the clock of the site, which may be wrong: only the time between them counts, laid at the end of the attempt
 * as the control plane saw it, and never longer than that. An attempt without an answer of the guest is the fabric's as a whole.
 */
import type { Step } from '../../shared/engine/graph.ts';
import { commands } from '../../shared/protocol/commands.ts';
import type { StepHistory } from './step-history.ts';
import type { Interval, Spans } from './time-split.ts';

export function siteTime({ work }: Pick<Step<unknown>, 'work'>, { atSite }: Pick<StepHistory, 'atSite'>): Omit<Spans, 'person'> {
  const kind = (work as { kind?: unknown } | undefined)?.kind;
  if (kind === 'script.run' || kind === 'wait.until') return { fabric: [], guest: [], checks: atSite };
  if (kind !== 'vm.start' && kind !== 'drill.start') return { fabric: atSite, guest: [], checks: [] };
  const fabric: Interval[] = [];
  const guest: Interval[] = [];
  for (const { from, to, result } of atSite) {
    const ranFrom = Math.max(from, to - guestMs(result));
    fabric.push({ from, to: ranFrom });
    guest.push({ from: ranFrom, to });
  }
  return { fabric, guest, checks: [] };
}

function guestMs(result: unknown): number {
  const { runningAt, answeredAt } = commands['vm.start'].result.safeParse(result).data ?? { runningAt: '', answeredAt: null };
  return answeredAt === null ? 0 : Math.max(0, Date.parse(answeredAt) - Date.parse(runningAt));
}
