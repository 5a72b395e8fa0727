/**
 * Whether the sites have the scripts that a plan names, with the very digest: held against what their agents tell while they are
 * connected. Pure. What cannot be checked now is said, and is no mistake.
 */
import { nearest } from '../../shared/document-mistakes.ts';
import {
  type ActionPlace,
  type ActionProblem,
  actionsOf,
  locationsOf,
  type PlanActing,
  type PlanAction,
  splitPin,
} from '../../shared/domain/plan-actions.ts';
import type { ResolvedMember } from '../../shared/domain/plan-members.ts';
import type { ActiveLocation } from '../../shared/domain/protected-vm.ts';
import type { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import type { ProtectedVmId, SiteId } from '../../shared/ids.ts';
import type { Presence } from '../operations/operations.ts';
import type { Pairing } from '../store/promise-store.ts';

export type SitesOf = ReadonlyMap<ProtectedVmId, Pick<Pairing, 'primary' | 'recovery'> | undefined>;

export interface ScriptCheck {
  readonly problems: readonly ActionProblem[];
  readonly notes: readonly string[];
}

interface Look {
  readonly sitesOf: SitesOf;
  readonly presence: Pick<Presence, 'scriptsOf'>;
  readonly nameOf: (site: SiteId) => string;
}

export function checkScripts(plan: RecoveryPlan, members: readonly ResolvedMember[], look: Look): ScriptCheck {
  const problems: ActionProblem[] = [];
  const notes = new Set<string>();
  for (const { action, place, path, vms } of scriptsOf(plan, members)) {
    for (const site of sitesFor(locationsOf(action, place), vms, look.sitesOf)) {
      const there = look.presence.scriptsOf(site);
      if (there === null) notes.add(`the agent of ${look.nameOf(site)} is not connected: its scripts were not checked`);
      else
        problems.push(...problemOf(action.script, there, look.nameOf(site)).map((problem) => ({ path: [...path, 'script'], ...problem })));
    }
  }
  return { problems, notes: [...notes] };
}

interface Found {
  readonly action: Extract<PlanAction, { script: string }>;
  readonly place: ActionPlace;
  readonly path: readonly (string | number)[];
  readonly vms: readonly ProtectedVmId[];
}

function scriptsOf(plan: RecoveryPlan, members: readonly ResolvedMember[]): Found[] {
  return plan.groups.flatMap((group, g) => {
    const own = members.filter((member) => member.group === g);
    const found = (acting: PlanActing, at: Found['path'], vms: Found['vms']) =>
      actionsOf(acting).flatMap(({ action, place, index }) =>
        'script' in action ? [{ action, place, path: [...at, place, index], vms }] : [],
      );
    return [
      ...found(
        group,
        ['groups', g],
        own.map(({ vmId }) => vmId),
      ),
      ...own.flatMap(({ index, vmId }) => found(group.members[index] ?? {}, ['groups', g, 'members', index], [vmId])),
    ];
  });
}

function sitesFor(locations: ReadonlySet<ActiveLocation>, vms: readonly ProtectedVmId[], sitesOf: SitesOf): Set<SiteId> {
  return new Set(vms.flatMap((vm) => [...locations].flatMap((location) => sitesOf.get(vm)?.[location].siteId ?? [])));
}

function problemOf(script: string, there: readonly { name: string; sha256: string }[], site: string): Omit<ActionProblem, 'path'>[] {
  const { name, sha256 } = splitPin(script);
  const found = there.find((entry) => entry.name === name);
  if (found?.sha256 === sha256) return [];
  if (found !== undefined)
    return [
      {
        message: `'${name}' at ${site} has another digest: it is not the script that the plan was written for`,
        allowed: `${name}@${found.sha256}`,
      },
    ];
  const names = there.map((entry) => entry.name);
  const guess = nearest(name, names);
  const none = 'its agent tells of none: see `scripts` in agent.yaml';
  return [
    {
      message: `${site} has no script '${name}'${guess === undefined ? '' : `; did you mean '${guess}'?`}`,
      allowed: names.length === 0 ? none : names.slice(0, 20).join(', '),
    },
  ];
}
