/**
 * Plans as they are stored and as people write them: found by id or name, read from a text with every mistake at once, and held
 * against the VMs of the vault.
 */
import type { RouteAnswerGiven } from '../../shared/api/routes.ts';
import { readDocument } from '../../shared/document.ts';
import { unknownNetworks } from '../../shared/domain/drill-schedule.ts';
import { type ActionProblem, type SiteCounts, severalSitesProblems } from '../../shared/domain/plan-actions.ts';
import { type MemberProblem, type NamedVm, type ResolvedMember, resolveMembers } from '../../shared/domain/plan-members.ts';
import { isReadable, readablePlan } from '../../shared/domain/readable-plan.ts';
import { hasReadableDrill, RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { VaultId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { namedNetworks } from '../operations/drill-schedules.ts';
import type { Presence } from '../operations/operations.ts';
import type { CloudRef, Pairing, ProtectedVm } from '../store/promise-store.ts';
import type { Plan, Store, VmObservation } from '../store/store.ts';
import { checkScripts, type SitesOf } from './plan-scripts.ts';
import { readNames, type VaultNames } from './vault-names.ts';

const MAX_LENGTH = { maxLength: 1024 * 1024 };

/** Throws ERR_NOT_FOUND. */
export async function findPlan({ wishes }: Store, vaultId: VaultId, idOrName: string, version?: number): Promise<Plan> {
  const plan = await wishes.findPlan(vaultId, idOrName, version);
  if (plan === null) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such plan, or not in that version');
  return plan;
}

export interface PlanText {
  readonly text: string;
  readonly fileName: string;
}

export interface PlanReading {
  /** What the plan has to be called. */
  readonly name?: string;
  /** With it the scripts of the sites are looked at too, which may change after a plan was saved; what cannot be looked at is noted. */
  readonly notes?: string[];
  readonly presence?: Presence;
}

/** Throws ERR_DOCUMENT_INVALID with every mistake. */
export async function readPlan(
  store: Store,
  vaultId: VaultId,
  { text, fileName }: PlanText,
  { name, notes, presence }: PlanReading = {},
): Promise<RecoveryPlan> {
  const vault = await readVault(store, vaultId);
  const [vms, sitesOf] = [namedIn(vault), pairedSites(vault)];
  const unprotected = unprotectedIn(vault, await store.observations.vms(vaultId));
  const networks = await namedNetworks(vaultId, store);
  const KnownPlan = RecoveryPlan.superRefine(
    (value, context) => {
      const plan = readablePlan(value);
      const resolved = resolveMembers(plan, vms);
      const problems: ActionProblem[] = [
        ...(name === undefined || plan.name === name || !isReadable(plan.name) ? [] : [otherName(plan.name, name)]),
        ...resolved.problems.flatMap((problem) => memberProblem(problem, plan, unprotected)),
        ...severalSitesProblems(plan.groups, siteCounts(plan, resolved.members, sitesOf)),
      ];
      if (notes !== undefined && presence !== undefined) {
        const scripts = checkScripts(plan, resolved.members, { sitesOf, presence, nameOf: (id) => vault.names.site(id) || id });
        notes.push(...scripts.notes);
        problems.push(...scripts.problems);
      }
      for (const { path, message, allowed } of problems)
        context.addIssue({ code: 'custom', path: [...path], message, params: { allowed } });
    },
    { when: () => true },
  ).superRefine(
    ({ drill }, context) => {
      for (const { path, message, allowed } of unknownNetworks(drill, networks))
        context.addIssue({ code: 'custom', path: ['drill', ...path], message, params: { allowed } });
    },
    { when: ({ value }) => hasReadableDrill(value) },
  );
  return readDocument(text, fileName, KnownPlan, MAX_LENGTH);
}

const otherName = (called: string, name: string): ActionProblem => ({
  path: ['name'],
  message: `'${called}' is not what it is saved as`,
  allowed: name,
});

function memberProblem(
  { group, index, message, allowed }: MemberProblem,
  plan: RecoveryPlan,
  unprotected: ReadonlyMap<string, { message: string; allowed: string }>,
): ActionProblem[] {
  const written = plan.groups[group]?.members[index]?.vm;
  if (written === undefined || !isReadable(written)) return [];
  return [
    { path: ['groups', group, 'members', index, 'vm'], message, ...(allowed !== undefined && { allowed }), ...unprotected.get(written) },
  ];
}

/** What a plan is held against, read once. */
interface Vault {
  readonly names: VaultNames;
  readonly pairings: readonly Pairing[];
  readonly vms: readonly ProtectedVm[];
}

async function readVault(store: Store, vaultId: VaultId): Promise<Vault> {
  const [names, pairings, vms] = await Promise.all([
    readNames(store, vaultId),
    store.promises.pairings(vaultId),
    store.promises.protectedVms(vaultId),
  ]);
  return { names, pairings, vms };
}

/** All protected VMs by the names that plans call them. */
export const namedVms = async (store: Store, vaultId: VaultId): Promise<NamedVm[]> => namedIn(await readVault(store, vaultId));

function namedIn({ names, pairings, vms }: Vault): NamedVm[] {
  const primaries = new Map(pairings.map(({ id, primary }) => [id, primary]));
  return vms.map(({ id, name, pairingId }) => {
    const primary = primaries.get(pairingId);
    const where =
      primary === undefined ? { cloudName: '', siteName: '' } : { cloudName: names.cloud(primary), siteName: names.site(primary.siteId) };
    return { id, name, ...where };
  });
}

function pairedSites({ pairings, vms }: Vault): SitesOf {
  const byId = new Map(pairings.map((pairing) => [pairing.id, pairing]));
  return new Map(vms.map(({ id, pairingId }) => [id, byId.get(pairingId)]));
}

function siteCounts({ groups }: RecoveryPlan, members: readonly ResolvedMember[], sitesOf: SitesOf): SiteCounts {
  const byGroup = Map.groupBy(members, ({ group }) => group);
  return groups.map((_group, index) => {
    const pairings = (byGroup.get(index) ?? []).flatMap(({ vmId }) => sitesOf.get(vmId) ?? []);
    const count = (side: 'primary' | 'recovery') => new Set(pairings.map((pairing) => pairing[side].siteId)).size;
    return { primary: count('primary'), recovery: count('recovery') };
  });
}

/** By every name that a plan might call it: a VM that a site has and that is not protected, and what to do about that. */
function unprotectedIn(
  { names, pairings, vms }: Vault,
  seen: readonly VmObservation[],
): ReadonlyMap<string, { message: string; allowed: string }> {
  const pairingOf = new Map(pairings.filter(({ state }) => state === 'paired').map(({ name, primary }) => [placeOf(primary), name]));
  const known = new Set(vms.map(({ vmId }) => vmId));
  const told = new Map<string, { message: string; allowed: string }>();
  for (const { siteId, report } of seen) {
    if (known.has(report.ref.vmId)) continue;
    const at = { siteId, cloudId: report.ref.cloudId };
    for (const text of [report.name, `${names.cloud(at)}/${report.name}`]) {
      told.set(text, {
        message: `'${text}' is in ${cloudText(at, names)} and is not protected`,
        allowed: remedyFor(report.name, pairingOf.get(placeOf(at))),
      });
    }
  }
  return told;
}

const placeOf = ({ siteId, cloudId }: CloudRef) => `${siteId}/${cloudId}`;
const cloudText = (at: CloudRef, names: VaultNames) => `cloud ${names.cloud(at)} of ${names.site(at.siteId)}`;

function remedyFor(vm: string, pairing: string | undefined): string {
  if (pairing === undefined) return 'a VM of a cloud that is paired: pair this one first, with farshore pairings create';
  return `a protected VM: farshore protect ${pairing} ${vm}`;
}

export async function userNames(store: Store, vaultId: VaultId): Promise<Map<string, string>> {
  return new Map((await store.accounts.users(vaultId)).map((user) => [user.id, user.name]));
}

export function summaryOf(
  { id, name, version, document, createdAt, createdBy, approval }: Plan,
  users: ReadonlyMap<string, string>,
): RouteAnswerGiven<'listPlans'>['plans'][number] {
  return {
    id,
    name,
    version,
    description: document.description ?? '',
    groups: document.groups.length,
    members: countMembers(document),
    createdAt: isoMoment(createdAt),
    createdBy: users.get(createdBy) ?? '',
    approval: approval && { at: isoMoment(approval.at), by: users.get(approval.by) ?? '', comment: approval.comment },
  };
}

export function countMembers(plan: RecoveryPlan): number {
  return plan.groups.reduce((sum, group) => sum + group.members.length, 0);
}
