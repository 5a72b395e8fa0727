/**
 * Protection by rule: which VMs of a cloud a rule takes, and why it leaves the others. Pure. A rule only ever adds: what it
 * took stays protected when the rule is removed, and what a person took out of protection it does not put back.
 */
import { z } from 'zod';
import type { VmId } from '../ids.ts';

export const RuleMatch = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('all') }),
  z.strictObject({
    by: z.literal('name'),
    pattern: z.string().trim().min(1).max(255).meta({ description: '* stands for anything, ? for one character; case does not count' }),
  }),
]);
export type RuleMatch = z.infer<typeof RuleMatch>;

/** VMs that are on their way to being protected at once, in one pairing: no rule may flood a line. */
export const ON_THE_WAY_MOST = 20;

const FIRST_DISTANCE_MS = 300_000;
const LONGEST_DISTANCE_MS = 24 * 3_600_000;

export interface RuleVm {
  readonly vmId: VmId;
  readonly name: string;
  /** Its part in replication, as its site reports it. */
  readonly mode: string;
}

/** How often rules tried to protect a VM since a person had a say in it, and when the last try ended. */
export interface RuleAttempts {
  readonly attempts: number;
  readonly endedAt: number;
}

export interface RuleSurroundings {
  readonly isProtected: ReadonlySet<VmId>;
  readonly isExcluded: ReadonlySet<VmId>;
  readonly attempts: ReadonlyMap<VmId, RuleAttempts>;
  readonly now: number;
}

export type Verdict =
  | { readonly verdict: 'takes'; readonly why: string }
  | { readonly verdict: 'waits'; readonly why: string; readonly until: number }
  | { readonly verdict: 'passes'; readonly why: string };

export function matchText(match: RuleMatch): string {
  return match.by === 'all' ? 'all VMs' : `VMs named ${match.pattern}`;
}

/** Null: the rule does not speak of this VM. */
export function judge(vm: RuleVm, match: RuleMatch, { isProtected, isExcluded, attempts, now }: RuleSurroundings): Verdict | null {
  if (match.by === 'name' && !isNamed(vm.name, match.pattern)) return null;
  if (isProtected.has(vm.vmId)) return { verdict: 'passes', why: 'it is protected already' };
  if (isExcluded.has(vm.vmId)) return { verdict: 'passes', why: 'a person took it out of protection: lift that first' };
  if (vm.mode !== 'none') return { verdict: 'passes', why: 'it replicates already: adopt it instead' };
  const why = match.by === 'all' ? 'the rule takes all VMs of the cloud' : `its name fits ${match.pattern}`;
  const tried = attempts.get(vm.vmId);
  const until = tried === undefined || tried.attempts === 0 ? now : tried.endedAt + distanceMs(tried.attempts);
  return until > now
    ? { verdict: 'waits', why: `it was tried ${timesText(tried?.attempts ?? 0)} in vain`, until }
    : { verdict: 'takes', why };
}

/** 5 minutes after the first failure, twice as long after each further one, a day at most. */
export function distanceMs(attempts: number): number {
  return Math.min(LONGEST_DISTANCE_MS, FIRST_DISTANCE_MS * 2 ** Math.min(attempts - 1, 20));
}

const timesText = (count: number) => (count === 1 ? 'once' : `${count} times`);

/** Goes through the name once, and back to the last `*` where it went wrong: no pattern makes it slow. */
export function isNamed(name: string, pattern: string): boolean {
  const [text, wanted] = [name.toLowerCase(), pattern.toLowerCase()];
  let [at, in_] = [0, 0];
  let star: { readonly in_: number; at: number } | null = null;
  while (at < text.length) {
    if (wanted[in_] === '*') star = { in_: in_++, at };
    else if (in_ < wanted.length && (wanted[in_] === '?' || wanted[in_] === text[at])) [at, in_] = [at + 1, in_ + 1];
    else if (star !== null) [at, in_] = [++star.at, star.in_ + 1];
    else return false;
  }
  return wanted.slice(in_).replaceAll('*', '') === '';
}
