/**
 * Handlers: recovery plans. A plan is saved only when it has no mistakes: the form of the document first, then every member
 * held against the protected VMs there are; each mistake with its line in the text that came.
 */
import type { planRoutes } from '../../shared/api/plan-routes.ts';
import { actingOf } from '../../shared/domain/plan-actions.ts';
import { diffPlans } from '../../shared/domain/plan-diff.ts';
import { type NamedVm, resolveMembers } from '../../shared/domain/plan-members.ts';
import type { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { PlanId } from '../../shared/ids.ts';
import type { ApiPorts, Handlers } from './handler.ts';
import { countMembers, findPlan, namedVms, readPlan, summaryOf, userNames } from './plan-reader.ts';

export function planHandlers({ store, presence, clock, random }: ApiPorts): Handlers<keyof typeof planRoutes> {
  return {
    async listPlans({ caller }) {
      const users = await userNames(store, caller.vaultId);
      return { plans: (await store.wishes.plans(caller.vaultId)).map((plan) => summaryOf(plan, users)) };
    },

    async checkPlan({ caller, body }) {
      const notes: string[] = [];
      const plan = await readPlan(store, caller.vaultId, body, { notes, presence });
      return { name: plan.name, groups: plan.groups.length, members: countMembers(plan), notes };
    },

    async getPlan({ caller, params, query }) {
      const plan = await findPlan(store, caller.vaultId, params.plan, query.version);
      return { ...summaryOf(plan, await userNames(store, caller.vaultId)), document: plan.document };
    },

    async savePlan({ caller, params, body }) {
      const { vaultId } = caller;
      const document = await readPlan(store, vaultId, body, { name: params.plan });
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
      return { ...summaryOf(plan, await userNames(store, vaultId)), isChanged };
    },

    async resolvePlan({ caller, params, query }) {
      const plan = await findPlan(store, caller.vaultId, params.plan, query.version);
      const vms = new Map((await store.promises.protectedVms(caller.vaultId)).map((vm) => [vm.id, vm]));
      const { members, problems } = resolveMembers(plan.document, await namedVms(store, caller.vaultId));
      const byGroup = Map.groupBy(members, ({ group }) => group);
      const groups = plan.document.groups.map((group, index) => ({
        name: group.name,
        ...actingOf(group),
        members: (byGroup.get(index) ?? []).flatMap(({ index: place, vmId, guestAnswersWithinSeconds, dependsOn }) => {
          const vm = vms.get(vmId);
          if (vm === undefined) return [];
          const { id, name, phase } = vm;
          return [{ vm: id, name, phase, guestAnswersWithinSeconds, dependsOn: [...dependsOn], ...actingOf(group.members[place]) }];
        }),
      }));
      const { description = '', commitWithinMinutes = null, startsPerHost = null, drill = null } = plan.document;
      const { id, name, version } = plan;
      return { id, name, version, description, commitWithinMinutes, startsPerHost, drill, groups, problems: [...problems] };
    },

    async listPlanVersions({ caller, params }) {
      const { id } = await findPlan(store, caller.vaultId, params.plan);
      const users = await userNames(store, caller.vaultId);
      return { versions: (await store.wishes.versions(caller.vaultId, id)).map((plan) => summaryOf(plan, users)) };
    },

    async approvePlan({ caller, params, body }) {
      const { vaultId, user } = caller;
      const { id, version } = await findPlan(store, vaultId, params.plan, params.version);
      await store.wishes.approvePlan(vaultId, id, version, { by: user.id, at: clock.now(), comment: body.comment });
      return summaryOf(await findPlan(store, vaultId, id, version), await userNames(store, vaultId));
    },

    async diffPlan({ caller, params, body }) {
      const { vaultId } = caller;
      const newest = await findPlan(store, vaultId, params.plan);
      const { to = { version: newest.version } } = body;
      const version = 'version' in to ? to.version : null;
      const from = body.from ?? (version === null ? newest.version : version - 1);
      if (from < 1) throw new FarshoreError('ERR_NOT_FOUND', `version ${version} of the plan is its first: there is none before it`);
      const before = (await findPlan(store, vaultId, newest.id, from)).document;
      const after = 'version' in to ? (await findPlan(store, vaultId, newest.id, to.version)).document : await readPlan(store, vaultId, to);
      const vms = await namedVms(store, vaultId);
      const changes = diffPlans(before, after, { before: meaningIn(before, vms), after: meaningIn(after, vms) });
      return { name: newest.name, from, to: version, changes };
    },
  };
}

/** The VM that a member's name means now; the name itself where it means none. */
function meaningIn(plan: RecoveryPlan, vms: readonly NamedVm[]): (name: string) => string {
  const meant = new Map(resolveMembers(plan, vms).members.map(({ group, index, vmId }) => [plan.groups[group]?.members[index]?.vm, vmId]));
  return (name) => meant.get(name) ?? name;
}
