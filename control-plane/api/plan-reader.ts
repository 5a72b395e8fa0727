/**
 * Plans as they are stored and as people write them: found by id or name, read from a text with every mistake at once, and held
 * against the VMs of the vault.
 */
import type { RouteAnswerGiven } from '../../shared/api/routes.ts';
import { readDocument } from '../../shared/document.ts';
import { type NamedVm, resolveMembers } from '../../shared/domain/plan-members.ts';
import { hasReadableMembers, RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { VaultId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { CloudRef, Plan, Store } from '../store/store.ts';
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

/** Throws ERR_DOCUMENT_INVALID with every mistake. `name`: what the plan has to be called. */
export async function readPlan(store: Store, vaultId: VaultId, { text, fileName }: PlanText, name?: string): Promise<RecoveryPlan> {
  const vms = await namedVms(store, vaultId);
  const unprotected = await unprotectedVms(store, vaultId);
  const KnownPlan = RecoveryPlan.superRefine(
    (plan, context) => {
      if (name !== undefined && plan.name !== name) {
        context.addIssue({
          code: 'custom',
          path: ['name'],
          message: `'${plan.name}' is not what it is saved as`,
          params: { allowed: name },
        });
      }
      for (const { group, index, message, allowed } of resolveMembers(plan, vms).problems) {
        const known = unprotected.get(plan.groups[group]?.members[index]?.vm ?? '');
        const told = known ?? { message, allowed };
        context.addIssue({
          code: 'custom',
          path: ['groups', group, 'members', index, 'vm'],
          message: told.message,
          params: { allowed: told.allowed },
        });
      }
    },
    { when: ({ value }) => hasReadableMembers(value) },
  );
  return readDocument(text, fileName, KnownPlan, MAX_LENGTH);
}

/** All protected VMs by the names that plans call them. */
export async function namedVms(store: Store, vaultId: VaultId): Promise<NamedVm[]> {
  const names = await readNames(store, vaultId);
  const primaries = new Map((await store.promises.pairings(vaultId)).map(({ id, primary }) => [id, primary]));
  return (await store.promises.protectedVms(vaultId)).map(({ id, name, pairingId }) => {
    const primary = primaries.get(pairingId);
    return { id, name, cloudName: primary === undefined ? '' : names.cloud(primary) };
  });
}

/** By every name that a plan might call it: a VM that a site has and that is not protected, and what to do about that. */
async function unprotectedVms(store: Store, vaultId: VaultId): Promise<Map<string, { message: string; allowed: string }>> {
  const names = await readNames(store, vaultId);
  const pairings = await store.promises.pairings(vaultId);
  const pairingOf = new Map(pairings.filter(({ state }) => state === 'paired').map(({ name, primary }) => [placeOf(primary), name]));
  const known = new Set((await store.promises.protectedVms(vaultId)).map(({ vmId }) => vmId));
  const told = new Map<string, { message: string; allowed: string }>();
  for (const { siteId, report } of await store.observations.vms(vaultId)) {
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
