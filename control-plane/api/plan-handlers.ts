/**
 * Handlers: recovery plans. A plan is saved only when it has no mistakes: the form of the document first, then every member
 * held against the protected VMs there are; each mistake with its line in the text that came.
 */
import type { recoveryRoutes } from '../../shared/api/recovery-routes.ts';
import { readDocument } from '../../shared/document.ts';
import { type SiteCounts, severalSitesProblems } from '../../shared/domain/plan-actions.ts';
import { type NamedVm, type ResolvedMember, resolveMembers } from '../../shared/domain/plan-members.ts';
import { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { PlanId, type VaultId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Plan } from '../store/store.ts';
import type { ApiPorts, Handlers } from './handler.ts';
import { checkScripts, type SitesOf } from './plan-scripts.ts';
import { readNames } from './vault-names.ts';

type Ids = 'listPlans' | 'checkPlan' | 'getPlan' | 'savePlan' | 'resolvePlan';
const MAX_LENGTH = { maxLength: 1024 * 1024 };

export function planHandlers({ store, presence, clock, random }: ApiPorts): Handlers<Ids & keyof typeof recoveryRoutes> {
  return {
    async listPlans({ caller }) {
      const users = await userNames(caller.vaultId);
      return { plans: (await store.wishes.plans(caller.vaultId)).map((plan) => summaryOf(plan, users)) };
    },

    async checkPlan({ caller, body }) {
      const notes: string[] = [];
      const plan = await readPlan(caller.vaultId, body, { notes });
      return { name: plan.name, groups: plan.groups.length, members: countMembers(plan), notes };
    },

    async getPlan({ caller, params, query }) {
      const plan = await findPlan(caller.vaultId, params.plan, query.version);
      return { ...summaryOf(plan, await userNames(caller.vaultId)), document: plan.document };
    },

    async savePlan({ caller, params, body }) {
      const { vaultId } = caller;
      const document = await readPlan(vaultId, body, { name: params.plan });
      const newest = await store.wishes.findPlan(vaultId, document.name);
      const isChanged = newest === null || JSON.stringify(newest.document) !== JSON.stringify(document);
      const plan = isChanged
        ? await store.wishes.savePlan({
            id: newest?.id ?? PlanId.parse(random.uuid()),
            vaultId,
            name: document.name,
            document,
            createdAt: clock.now(),
            createdBy: caller.user.id,
          })
        : newest;
      return { ...summaryOf(plan, await userNames(vaultId)), isChanged };
    },

    async resolvePlan({ caller, params, query }) {
      const plan = await findPlan(caller.vaultId, params.plan, query.version);
      const vms = new Map((await store.promises.protectedVms(caller.vaultId)).map((vm) => [vm.id, vm]));
      const { members, problems } = resolveMembers(plan.document, await namedVms(caller.vaultId));
      const byGroup = Map.groupBy(members, ({ group }) => group);
      const groups = plan.document.groups.map((group, index) => ({
        name: group.name,
        members: (byGroup.get(index) ?? []).flatMap(({ vmId, guestAnswersWithinSeconds, dependsOn }) => {
          const vm = vms.get(vmId);
          return vm === undefined
            ? []
            : [{ vm: vm.id, name: vm.name, phase: vm.phase, guestAnswersWithinSeconds, dependsOn: [...dependsOn] }];
        }),
      }));
      return { id: plan.id, name: plan.name, version: plan.version, groups, problems: [...problems] };
    },
  };

  async function findPlan(vaultId: VaultId, idOrName: string, version?: number): Promise<Plan> {
    const plan = await store.wishes.findPlan(vaultId, idOrName, version);
    if (plan === null) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such plan, or not in that version');
    return plan;
  }

  /**
   * Throws ERR_DOCUMENT_INVALID with every mistake. `name`: what the plan has to be called. With `notes` the scripts of the sites are
   * looked at too, which may change after a plan was saved; what could not be looked at is noted there.
   */
  async function readPlan(
    vaultId: VaultId,
    { text, fileName }: { text: string; fileName: string },
    { name, notes }: { name?: string; notes?: string[] },
  ): Promise<RecoveryPlan> {
    const vms = await namedVms(vaultId);
    const sitesOf = await pairedSites(vaultId);
    const siteNames = new Map((await store.sites.list(vaultId)).map(({ id, name: siteName }) => [id, siteName]));
    const KnownPlan = RecoveryPlan.superRefine((plan, context) => {
      if (name !== undefined && plan.name !== name) {
        context.addIssue({
          code: 'custom',
          path: ['name'],
          message: `'${plan.name}' is not what it is saved as`,
          params: { allowed: name },
        });
      }
      const { members, problems } = resolveMembers(plan, vms);
      for (const { group, index, message, allowed } of problems) {
        context.addIssue({ code: 'custom', path: ['groups', group, 'members', index, 'vm'], message, params: { allowed } });
      }
      for (const { path, message, allowed } of severalSitesProblems(plan.groups, siteCounts(plan, members, sitesOf)))
        context.addIssue({ code: 'custom', path: [...path], message, params: { allowed } });
      if (notes === undefined) return;
      const scripts = checkScripts(plan, members, { sitesOf, presence, nameOf: (id) => siteNames.get(id) ?? id });
      notes.push(...scripts.notes);
      for (const { path, message, allowed } of scripts.problems)
        context.addIssue({ code: 'custom', path: [...path], message, params: { allowed } });
    });
    return readDocument(text, fileName, KnownPlan, MAX_LENGTH);
  }

  async function namedVms(vaultId: VaultId): Promise<NamedVm[]> {
    const names = await readNames(store, vaultId);
    const primaries = new Map((await store.promises.pairings(vaultId)).map(({ id, primary }) => [id, primary]));
    return (await store.promises.protectedVms(vaultId)).map(({ id, name, pairingId }) => {
      const primary = primaries.get(pairingId);
      return { id, name, cloudName: primary === undefined ? '' : names.cloud(primary) };
    });
  }

  async function pairedSites(vaultId: VaultId): Promise<SitesOf> {
    const pairings = new Map((await store.promises.pairings(vaultId)).map((pairing) => [pairing.id, pairing]));
    return new Map((await store.promises.protectedVms(vaultId)).map(({ id, pairingId }) => [id, pairings.get(pairingId)]));
  }

  async function userNames(vaultId: VaultId): Promise<Map<string, string>> {
    return new Map((await store.accounts.users(vaultId)).map((user) => [user.id, user.name]));
  }
}

function summaryOf({ id, name, version, document, createdAt, createdBy }: Plan, users: ReadonlyMap<string, string>) {
  return {
    id,
    name,
    version,
    description: document.description ?? '',
    groups: document.groups.length,
    members: countMembers(document),
    createdAt: isoMoment(createdAt),
    createdBy: users.get(createdBy) ?? '',
  };
}

function siteCounts({ groups }: RecoveryPlan, members: readonly ResolvedMember[], sitesOf: SitesOf): SiteCounts {
  const byGroup = Map.groupBy(members, ({ group }) => group);
  return groups.map((_group, index) => {
    const pairings = (byGroup.get(index) ?? []).flatMap(({ vmId }) => sitesOf.get(vmId) ?? []);
    const count = (side: 'primary' | 'recovery') => new Set(pairings.map((pairing) => pairing[side].siteId)).size;
    return { primary: count('primary'), recovery: count('recovery') };
  });
}

function countMembers(plan: RecoveryPlan): number {
  return plan.groups.reduce((sum, group) => sum + group.members.length, 0);
}
