/**
 * Which protected VM each member of a plan means. Pure. A member is the name of a VM where that is unique, else
 * `cloud/name`, `site/cloud/name` where sites have clouds of one name, and its id where even that is not. Members that mean no VM, several, or one that another member means
 * already are problems, told all at once; the others are there either way, and depend on those that are there.
 */
import { nearest } from '../document-mistakes.ts';
import type { Problem } from '../errors.ts';
import type { ProtectedVmId } from '../ids.ts';
import type { RecoveryPlan } from './recovery-plan.ts';

export interface NamedVm {
  readonly id: ProtectedVmId;
  readonly name: string;
  /** Names of its primary cloud and of the site of that. */
  readonly cloudName: string;
  readonly siteName: string;
}

/** What a VM may be called, the shortest first. */
export function textsOf({ id, name, cloudName, siteName }: NamedVm): string[] {
  return [name, `${cloudName}/${name}`, `${siteName}/${cloudName}/${name}`, id];
}

export interface ResolvedMember {
  /** Place in `plan.groups`, and in the members of that group. */
  readonly group: number;
  readonly index: number;
  readonly vmId: ProtectedVmId;
  readonly guestAnswersWithinSeconds: number;
  readonly dependsOn: readonly ProtectedVmId[];
}

/** `field` is the member's place, such as `groups[0].members[2].vm`. */
export interface MemberProblem extends Problem {
  readonly group: number;
  readonly index: number;
}

export interface ResolvedPlan {
  readonly members: readonly ResolvedMember[];
  readonly problems: readonly MemberProblem[];
}

/** Guessing costs time in proportion to all VMs, and nobody reads hundreds of guesses. */
const MOST_GUESSES = 20;
const MOST_CANDIDATES = 5;

/** All names that a VM may have which a member of the plan means: what stands after each `/`, since clouds may have one in theirs too. */
export function namesMeant(plan: RecoveryPlan): string[] {
  const texts = plan.groups.flatMap(({ members }) => members.map(({ vm }) => vm));
  return [...new Set(texts.flatMap((text) => text.split('/').map((_, part, parts) => parts.slice(part).join('/'))))];
}

export function resolveMembers(plan: RecoveryPlan, vms: readonly NamedVm[]): ResolvedPlan {
  const named = byEveryName(vms);
  const members: Omit<ResolvedMember, 'dependsOn'>[] = [];
  const problems: MemberProblem[] = [];
  const textOf = new Map<ProtectedVmId, string>();
  let guesses = 0;
  plan.groups.forEach((group, g) => {
    group.members.forEach((member, m) => {
      const found = named.get(member.vm) ?? [];
      const problem = (message: string, allowed?: string) =>
        problems.push({
          group: g,
          index: m,
          field: `groups[${g}].members[${m}].vm`,
          message,
          ...(allowed === undefined ? {} : { allowed }),
        });
      const vm = found[0];
      if (vm === undefined) {
        const guess = guesses++ < MOST_GUESSES ? nearest(member.vm, [...named.keys()]) : undefined;
        problem(
          `no protected VM is called '${member.vm}'${guess === undefined ? '' : `; did you mean '${guess}'?`}`,
          'a protected VM: farshore vms list',
        );
        return;
      }
      if (found.length > 1) {
        problem(`${found.length} protected VMs are called '${member.vm}'`, unambiguous(found, named));
        return;
      }
      const earlier = textOf.get(vm.id);
      if (earlier !== undefined) {
        // The same text twice is told when the document is read.
        if (earlier !== member.vm) problem(`'${member.vm}' is the VM that '${earlier}' means already`, 'each VM once');
        return;
      }
      textOf.set(vm.id, member.vm);
      const guestAnswersWithinSeconds = member.guestAnswersWithinSeconds ?? plan.guestAnswersWithinSeconds;
      members.push({ group: g, index: m, vmId: vm.id, guestAnswersWithinSeconds });
    });
  });
  return { members: withDependencies(members, plan), problems };
}

/** Members are named in `dependsOn` as in `vm`, so the text leads to the VM. */
function withDependencies(members: readonly Omit<ResolvedMember, 'dependsOn'>[], { groups }: RecoveryPlan): ResolvedMember[] {
  const written = ({ group, index }: Pick<ResolvedMember, 'group' | 'index'>) => groups[group]?.members[index];
  const meant = new Map(members.map((member) => [written(member)?.vm ?? '', member.vmId]));
  return members.map((member) => ({
    ...member,
    dependsOn: (written(member)?.dependsOn ?? []).flatMap((name) => meant.get(name) ?? []),
  }));
}

function byEveryName(vms: readonly NamedVm[]): Map<string, NamedVm[]> {
  const named = new Map<string, NamedVm[]>();
  for (const vm of vms) {
    for (const text of new Set(textsOf(vm))) {
      const list = named.get(text);
      if (list) list.push(vm);
      else named.set(text, [vm]);
    }
  }
  return named;
}

/** How each of several VMs can be named so that it alone is meant. */
function unambiguous(found: readonly NamedVm[], named: ReadonlyMap<string, readonly NamedVm[]>): string {
  const texts = found.slice(0, MOST_CANDIDATES).map((vm) => textsOf(vm).find((text) => named.get(text)?.length === 1) ?? vm.id);
  return [...texts, ...(found.length > MOST_CANDIDATES ? ['...'] : [])].join(', ');
}
