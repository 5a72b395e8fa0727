/**
 * Mistakes in who waits for whom within a plan. Pure, and in time proportional to members and edges. `dependsOn` names members as their
 * `vm` does; one that contradicts the order of the groups or closes a circle could never start. All are told at once: a plan
 * without the entries that are told has no mistake of this kind left.
 */
import { nearest } from '../document-mistakes.ts';
import type { Problem } from '../errors.ts';

/** What of a plan's groups matters here. */
export type DependingGroups = readonly {
  readonly name: string;
  readonly members: readonly { readonly vm: string; readonly dependsOn?: readonly string[] | undefined }[];
}[];

/** Place of an entry: `groups[group].members[index].dependsOn[entry]`. */
export interface DependencyProblem extends Pick<Problem, 'message' | 'allowed'> {
  readonly group: number;
  readonly index: number;
  readonly entry: number;
}

interface Member {
  readonly name: string;
  readonly group: number;
  readonly index: number;
  readonly dependsOn: readonly string[];
  /** Those of its entries that are no mistake by themselves, and whom they mean. */
  readonly edges: { readonly entry: number; readonly to: Member }[];
}

/** Guessing costs time in proportion to all members, and nobody reads hundreds of guesses. */
const MOST_GUESSES = 20;
const MEMBERS = 'members of this plan, named as in their `vm`';
const MEMBERS_BEFORE = 'members that do not wait for it themselves';
/** A circle longer than this is told by its beginning and its end. */
const MOST_IN_CIRCLE = 10;

export function dependencyProblems(groups: DependingGroups): DependencyProblem[] {
  const members = groups.flatMap((group, g) =>
    group.members.map((member, m): Member => ({ name: member.vm, group: g, index: m, dependsOn: member.dependsOn ?? [], edges: [] })),
  );
  const named = new Map<string, Member>();
  for (const member of members) if (!named.has(member.name)) named.set(member.name, member);
  return [...singleMistakes(members, named, groups), ...circles(members)];
}

/** What is wrong with an entry alone; the others become edges. */
function singleMistakes(members: readonly Member[], named: ReadonlyMap<string, Member>, groups: DependingGroups): DependencyProblem[] {
  const names = [...named.keys()];
  const problems: DependencyProblem[] = [];
  let guesses = 0;
  for (const member of members) {
    const seen = new Set<string>();
    for (const [entry, name] of member.dependsOn.entries()) {
      const place = { group: member.group, index: member.index, entry };
      const to = named.get(name);
      if (seen.has(name)) problems.push({ ...place, message: `'${name}' is listed twice`, allowed: 'each member once' });
      else if (to === undefined)
        problems.push({ ...place, message: unknown(name, guesses++ < MOST_GUESSES ? names : []), allowed: MEMBERS });
      else if (name === member.name) problems.push({ ...place, message: `'${name}' depends on itself`, allowed: 'other members' });
      else if (to.group > member.group) problems.push({ ...place, ...later(member, to, groups) });
      else member.edges.push({ entry, to });
      seen.add(name);
    }
  }
  return problems;
}

function unknown(name: string, names: readonly string[]): string {
  // Who wrote `sql-01` for the member `Gold/sql-01`, or the other way round, is told so.
  const guess = names.find((each) => each.endsWith(`/${name}`) || name.endsWith(`/${each}`)) ?? nearest(name, names);
  return `no member of this plan is called '${name}'${guess === undefined ? '' : `; did you mean '${guess}'?`}`;
}

function later(member: Member, to: Member, groups: DependingGroups) {
  const message = `'${to.name}' is in group "${groups[to.group]?.name}", which starts after '${member.name}' in "${groups[member.group]?.name}"`;
  return { message, allowed: 'members of the same group or of one before it' };
}

/** Depth first in the order of the document, without recursion: an edge back to a member that is still on the way closes a circle. */
function circles(members: readonly Member[]): DependencyProblem[] {
  const problems: DependencyProblem[] = [];
  const placeOnWay = new Map<Member, number>();
  const finished = new Set<Member>();
  for (const root of members) {
    const way: { member: Member; next: number }[] = [];
    const enter = (member: Member) => {
      placeOnWay.set(member, way.length);
      way.push({ member, next: 0 });
    };
    if (!finished.has(root)) enter(root);
    for (let here = way.at(-1); here !== undefined; here = way.at(-1)) {
      const { member } = here;
      const edge = member.edges[here.next++];
      if (edge === undefined) {
        way.pop();
        placeOnWay.delete(member);
        finished.add(member);
        continue;
      }
      const from = placeOnWay.get(edge.to);
      if (from !== undefined)
        problems.push({ group: member.group, index: member.index, entry: edge.entry, message: circle(way, from), allowed: MEMBERS_BEFORE });
      else if (!finished.has(edge.to)) enter(edge.to);
    }
  }
  return problems;
}

/** `these wait for each other: a -> b -> a` */
function circle(way: readonly { readonly member: Member }[], from: number): string {
  const length = way.length - from;
  const ends = length <= MOST_IN_CIRCLE ? way.slice(from) : way.slice(from, from + MOST_IN_CIRCLE - 1);
  const names = ends.map(({ member }) => member.name);
  if (length > MOST_IN_CIRCLE) names.push(`... (${length - MOST_IN_CIRCLE} more)`, way.at(-1)?.member.name ?? '');
  return `these wait for each other: ${[...names, names[0]].join(' -> ')}`;
}
