/**
 * Protection by rule: which VMs of a cloud a rule takes, and why it leaves the others. Pure. A rule only ever adds: what it
 * took stays protected when the rule is removed, and what a person took out of protection it does not put back.
 */
import { z } from 'zod';
import type { VmId } from '../ids.ts';
import { Name, nameUpTo } from '../names.ts';

/** A tag as people write it at their VMs; case does not count. */
export const VmTag = Name;

/** So many tags at most may the rules of a vault name: sites are asked for these and tell of no other. */
export const TAGS_MOST = 50;

export const RuleMatch = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('all') }),
  z.strictObject({
    by: z.literal('name'),
    pattern: nameUpTo(255).meta({ description: '* stands for anything, ? for one character; case does not count' }),
  }),
  z.strictObject({
    by: z.literal('tag'),
    tag: VmTag.meta({ description: 'the sites tell of a tag only once a rule names it; case does not count' }),
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
  /** Of the tags that rules name. */
  readonly tags: readonly string[];
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
  if (match.by === 'all') return 'all VMs';
  return match.by === 'name' ? `VMs named ${match.pattern}` : `VMs tagged ${match.tag}`;
}

/** Null: the rule does not speak of this VM. */
export function judge(vm: RuleVm, match: RuleMatch, { isProtected, isExcluded, attempts, now }: RuleSurroundings): Verdict | null {
  const fits = whyItFits(vm, match);
  if (fits === null) return null;
  if (isProtected.has(vm.vmId)) return { verdict: 'passes', why: 'it is protected already' };
  if (isExcluded.has(vm.vmId)) return { verdict: 'passes', why: 'a person took it out of protection: lift that first' };
  if (vm.mode !== 'none') return { verdict: 'passes', why: 'it replicates already: adopt it instead' };
  const tried = attempts.get(vm.vmId);
  const until = tried === undefined || tried.attempts === 0 ? now : tried.endedAt + distanceMs(tried.attempts);
  return until > now
    ? { verdict: 'waits', why: `it was tried ${timesText(tried?.attempts ?? 0)} in vain`, until }
    : { verdict: 'takes', why: fits };
}

function whyItFits({ name, tags }: RuleVm, match: RuleMatch): string | null {
  switch (match.by) {
    case 'all':
      return 'the rule takes all VMs of the cloud';
    case 'name':
      return isNamed(name, match.pattern) ? `its name fits ${match.pattern}` : null;
    case 'tag':
      return tags.some((tag) => isSameTag(tag, match.tag)) ? `it is tagged ${match.tag}` : null;
  }
}

export const isSameTag = (one: string, other: string): boolean => one.trim().toLowerCase() === other.trim().toLowerCase();

/** Tags that the rules name, each once, in the spelling of the first. */
export function tagsNamed(matches: readonly RuleMatch[]): string[] {
  const named = matches.flatMap((match) => (match.by === 'tag' ? [match.tag] : []));
  return named.filter((tag, index) => named.findIndex((other) => isSameTag(other, tag)) === index).slice(0, TAGS_MOST);
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
