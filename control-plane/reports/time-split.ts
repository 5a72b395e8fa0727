/**
 * Where time went, told from intervals. Each moment counts once: as fabric while a site worked on a step, else as guest while
 * a VM ran and its guest had not answered, else as checks while an action of the plan was under way, else as waiting while a person was asked, else as queueing before a site had the
 * first step or as orchestration after it.
 */
import type { TimeSplit } from '../../shared/api/report.ts';

/** Milliseconds since 1970; `to` is not part of it. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

export interface Spans {
  readonly fabric: readonly Interval[];
  readonly guest: readonly Interval[];
  readonly checks: readonly Interval[];
  readonly person: readonly Interval[];
}

export function splitTime(whole: Interval, spans: Spans): TimeSplit {
  const fabric = union(spans.fabric, whole);
  const vms = union([...fabric, ...spans.guest], whole);
  const site = union([...vms, ...spans.checks], whole);
  const person = lengthOf(union([...site, ...spans.person], whole)) - lengthOf(site);
  const first = site[0]?.from ?? whole.to;
  const queuedPerson = lengthOf(union(spans.person, { from: whole.from, to: first }));
  const queued = first - whole.from - queuedPerson;
  const rest = whole.to - whole.from - lengthOf(site) - person - queued;
  return {
    queuedSeconds: seconds(queued),
    fabricSeconds: seconds(lengthOf(fabric)),
    guestSeconds: seconds(lengthOf(vms) - lengthOf(fabric)),
    checksSeconds: seconds(lengthOf(site) - lengthOf(vms)),
    personSeconds: seconds(person),
    orchestrationSeconds: seconds(rest),
  };
}

/** Milliseconds as seconds, three digits behind the point. */
export function seconds(ms: number): number {
  return Math.max(0, Math.round(ms) / 1000);
}

/** The parts of the intervals inside `whole`, merged, in order. */
function union(intervals: readonly Interval[], whole: Interval): Interval[] {
  const sorted = intervals
    .map(({ from, to }) => ({ from: Math.max(from, whole.from), to: Math.min(to, whole.to) }))
    .filter(({ from, to }) => to > from)
    .sort((a, b) => a.from - b.from);
  const merged: { from: number; to: number }[] = [];
  for (const next of sorted) {
    const last = merged.at(-1);
    if (last && next.from <= last.to) last.to = Math.max(last.to, next.to);
    else merged.push({ ...next });
  }
  return merged;
}

function lengthOf(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, { from, to }) => sum + to - from, 0);
}
