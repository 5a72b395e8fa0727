/** What every kind of operation is: a function from a request and the state of the vault to a job that can be opened. */
import type { JobInput } from '../../shared/api/job-input.ts';
import type { OperationRequest, OperationRequestOf, Target } from '../../shared/api/operations.ts';
import { actingOf, type PlanActing } from '../../shared/domain/plan-actions.ts';
import { namesMeant, resolveMembers } from '../../shared/domain/plan-members.ts';
import { type ActiveLocation, otherSide, type VmOperation, whyNot } from '../../shared/domain/protected-vm.ts';
import type { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import { type PairingId, ProtectedVmId, type SiteId, type VmId, type VmRef } from '../../shared/ids.ts';
import type { Clock, Random } from '../../shared/ports.ts';
import type { JobKind, NewJob } from '../store/job-store.ts';
import type { CloudRef, Pairing, ProtectedVm } from '../store/promise-store.ts';
import type { Plan, Store } from '../store/store.ts';
import type { Actor, Presence } from './operations.ts';

export interface CompilePorts {
  readonly store: Store;
  readonly presence: Presence;
  readonly clock: Clock;
  readonly random: Random;
  /** The replication root that the vault's sites trust each other by. */
  readonly replication: ReplicationAuthority;
  /** Since when this process hears agents: who was not heard by it need not be gone. */
  readonly listeningSince: number;
}

export interface ReplicationAuthority {
  readonly rootPem: string;
  /** Answers the site's authority as PEM. Throws ERR_CSR_INVALID. */
  signSite(csr: string, siteId: SiteId): Promise<string>;
}

/** A compiled request; the runner adds who asked and when. */
export interface Compiled
  extends Pick<NewJob, 'graph' | 'claims' | 'newVms' | 'newPairing' | 'changedPairing' | 'endedPairing' | 'movedRules' | 'excludes'> {
  readonly target: string;
  readonly input: unknown;
}

export type Compile<K extends JobKind> = (request: OperationRequestOf<K>, actor: Actor, ports: CompilePorts) => Promise<Compiled>;

/** One compiler for every kind that can be asked for: a missing one does not compile. */
export type Compilers = { readonly [K in OperationRequest['kind']]: Compile<K> };

/** A plan's member, or a VM asked for by itself, with the pairing it belongs to. */
export interface TargetVm extends PlanActing {
  readonly vm: ProtectedVm;
  readonly pairing: Pairing;
  readonly guestAnswersWithinSeconds: number;
  /** Members of the plan that have to have started before it. */
  readonly dependsOn: readonly ProtectedVmId[];
  /** How many VMs of the plan may start at once on a host. */
  readonly startsPerHost?: number;
}

export interface TargetGroup extends PlanActing {
  readonly name: string;
  readonly vms: readonly TargetVm[];
}

export interface ResolvedTarget {
  readonly title: string;
  readonly plan: Pick<Plan, 'name' | 'version' | 'approval' | 'document'> | null;
  readonly groups: readonly TargetGroup[];
  /** Every member by its name in the plan, also where it is left out of the run. */
  readonly byWrittenName: ReadonlyMap<string, TargetVm>;
}

const GUEST_DEFAULT_SECONDS = 300;

/** Finds what a target names. Throws ERR_NOT_FOUND, or ERR_DOCUMENT_INVALID with every member that means no VM. */
export async function resolveTarget(target: Target, actor: Actor, store: Store): Promise<ResolvedTarget> {
  const pairings = new Map((await store.promises.pairings(actor.vaultId)).map((pairing) => [pairing.id, pairing]));
  const withPairing = (vm: ProtectedVm, guestAnswersWithinSeconds: number, dependsOn: readonly ProtectedVmId[] = []): TargetVm => ({
    vm,
    pairing: pairingOf(vm.pairingId, pairings),
    guestAnswersWithinSeconds,
    dependsOn,
  });
  if ('plan' in target) {
    const plan = await store.wishes.findPlan(actor.vaultId, target.plan, target.version);
    if (!plan) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such plan, or not in that version');
    const only = target.only && new Set(target.only);
    const byWrittenName = new Map<string, TargetVm>();
    const { startsPerHost } = plan.document;
    const limit = startsPerHost === undefined ? {} : { startsPerHost };
    const groups = (await membersOf(plan.document, actor, store, pairings)).map((group) => ({
      ...group,
      vms: group.vms
        .filter(({ vm }) => only?.has(vm.id) ?? true)
        .map(({ vm, seconds, dependsOn, written }): TargetVm => {
          const member = { ...withPairing(vm, seconds, dependsOn), ...limit, ...actingOf(written) };
          if (written) byWrittenName.set(written.vm, member);
          return member;
        }),
    }));
    return { title: plan.name, plan, groups, byWrittenName };
  }
  const vms = await store.promises.protectedVms(actor.vaultId, { ids: target.vms });
  const known = new Map(vms.map((vm) => [vm.id, vm]));
  const missing = target.vms.filter((id) => !known.has(id)).map((id): Problem => ({ message: `there is no protected VM ${id}` }));
  if (missing.length > 0) throw new FarshoreError('ERR_NOT_FOUND', 'not every VM asked for is protected', { problems: missing });
  const title = vms.length === 1 ? (vms[0]?.name ?? '') : `${vms.length} VMs`;
  const groups = [{ name: title, vms: [...known.values()].map((vm) => withPairing(vm, GUEST_DEFAULT_SECONDS)) }];
  return { title, plan: null, groups, byWrittenName: new Map() };
}

async function membersOf(plan: RecoveryPlan, actor: Actor, store: Store, pairings: ReadonlyMap<PairingId, Pairing>) {
  const clouds = new Map((await store.observations.clouds(actor.vaultId)).map((cloud) => [`${cloud.siteId}/${cloud.id}`, cloud.name]));
  const sites = new Map((await store.sites.list(actor.vaultId)).map(({ id, name }) => [id, name]));
  const resolved = async (where?: { readonly ids: readonly ProtectedVmId[]; readonly names: readonly string[] }) => {
    const vms = await store.promises.protectedVms(actor.vaultId, where);
    const named = vms.map((vm) => {
      const { primary } = pairingOf(vm.pairingId, pairings);
      const cloudName = clouds.get(`${primary.siteId}/${primary.cloudId}`) ?? '';
      return { id: vm.id, name: vm.name, cloudName, siteName: sites.get(primary.siteId) ?? '' };
    });
    return { vms, ...resolveMembers(plan, named) };
  };
  const names = namesMeant(plan);
  const some = await resolved({ names, ids: names.flatMap((name) => ProtectedVmId.safeParse(name).data ?? []) });
  // What a name that is not there may have meant can only be told from all of them.
  const { vms, members, problems } = some.problems.length === 0 ? some : await resolved();
  if (problems.length > 0) throw new FarshoreError('ERR_DOCUMENT_INVALID', 'the plan names VMs that are not protected', { problems });
  const known = new Map(vms.map((vm) => [vm.id, vm]));
  const byGroup = Map.groupBy(members, ({ group }) => group);
  return plan.groups.map((group, index) => ({
    name: group.name,
    ...actingOf(group),
    vms: (byGroup.get(index) ?? []).flatMap(({ vmId, guestAnswersWithinSeconds, dependsOn, index: place }) => {
      const vm = known.get(vmId);
      return vm ? [{ vm, seconds: guestAnswersWithinSeconds, dependsOn, written: group.members[place] }] : [];
    }),
  }));
}

function pairingOf(id: PairingId, pairings: ReadonlyMap<PairingId, Pairing>): Pairing {
  const pairing = pairings.get(id);
  if (!pairing) throw new FarshoreError('ERR_INTERNAL', `pairing ${id} of a protected VM is not there`);
  return pairing;
}

/** What a job keeps of its target, so that its view and its report can name plan, groups and members later. */
export function recordOf({ plan, groups }: ResolvedTarget): Pick<JobInput, 'planName' | 'planVersion' | 'groups'> {
  return {
    planName: plan?.name ?? null,
    planVersion: plan?.version ?? null,
    groups: groups.map(({ name, vms }) => ({ name, members: vms.map(({ vm }) => ({ vm: vm.id, name: vm.name })) })),
  };
}

export const allVms = (target: ResolvedTarget): TargetVm[] => target.groups.flatMap((group) => group.vms);

/** `takeBack` as people write it. */
const inWords = (operation: VmOperation) => operation.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** Throws ERR_OPERATION_NOT_ALLOWED naming every VM that the operation may not start on, or ERR_VM_BUSY when all are only busy. */
export function refuseUnlessAllowed(
  vms: readonly ProtectedVm[],
  operation: VmOperation,
  message = `the operation '${inWords(operation)}' cannot start on every VM asked for`,
): void {
  const problems = vms.flatMap((vm): Problem[] => {
    const reason = whyNot(vm, operation);
    return reason === '' ? [] : [{ field: vm.name, message: reason }];
  });
  if (problems.length === 0) return;
  const isBusy = vms.some(({ busyWith }) => busyWith !== null);
  throw new FarshoreError(isBusy ? 'ERR_VM_BUSY' : 'ERR_OPERATION_NOT_ALLOWED', message, { problems });
}

/**
 * A target all of whose members allow the operation now, with the agents of the ends that it needs connected. Throws what
 * `resolveTarget`, `refuseUnlessAllowed` and `refuseUnlessConnected` throw, in this order.
 */
export async function resolveAllowed(
  wanted: Target,
  operation: VmOperation,
  ends: readonly ('source' | 'target')[],
  actor: Actor,
  ports: CompilePorts,
): Promise<{ readonly target: ResolvedTarget; readonly members: readonly TargetVm[] }> {
  const target = await resolveTarget(wanted, actor, ports.store);
  const members = allVms(target);
  refuseUnlessAllowed(
    members.map(({ vm }) => vm),
    operation,
  );
  await refuseUnlessConnected(
    members.flatMap((member) => ends.map((end) => sidesOf(member)[end].siteId)),
    actor,
    ports,
  );
  return { target, members };
}

/**
 * How long a step may wait to be begun: time to get the command to the agent and to its turn there, behind other VMs. What was asked
 * for in the evening must not start in the morning.
 */
export const BEGIN_WITHIN_SECONDS = 3600;

/** Sites come back after months; past three years nobody keeps the job. */
export const LEFT_WITHIN_SECONDS = 3 * 365 * 86_400;

/**
 * Ends of a replication at a side that was away are done when it is back: they would end one that was begun there meanwhile. `at`:
 * only in that cloud is one to begin. Throws ERR_VM_BUSY.
 */
export async function refuseWhatIsStillEnded(
  vmIds: readonly VmId[],
  { vaultId }: Actor,
  { store }: CompilePorts,
  at: CloudRef | null = null,
): Promise<void> {
  const wanted = new Set<string>(vmIds);
  const open = (await store.jobs.unended()).filter((job) => job.vaultId === vaultId);
  for (const { id } of open.filter(({ kind }) => kind === 'unprotect' || kind === 'movePairing')) {
    const { steps } = await store.jobs.graph(vaultId, id);
    const isOne = steps.some(({ work }) => {
      if (work?.kind !== 'replication.disable' && work?.kind !== 'replica.remove') return false;
      const { vmId = '', cloudId } = work.args.vm ?? {};
      return wanted.has(vmId) && (at === null || (work.siteId === at.siteId && cloudId === at.cloudId));
    });
    if (isOne) throw new FarshoreError('ERR_VM_BUSY', `job ${id} still ends the earlier replication of one of these VMs`);
  }
}

/** A pairing that VMs can replicate under. Throws ERR_NOT_FOUND, ERR_NOT_PREPARED. */
export async function pairedPairing(id: PairingId, { vaultId }: Actor, { store }: CompilePorts): Promise<Pairing> {
  const pairing = await store.promises.findPairing(vaultId, id);
  if (!pairing) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such pairing');
  if (pairing.state !== 'paired') throw new FarshoreError('ERR_NOT_PREPARED', `pairing ${pairing.name} is not ready: ${pairing.state}`);
  return pairing;
}

/** What its start is given, wherever it comes up. */
export function startArgs({ guestAnswersWithinSeconds, startsPerHost }: TargetVm, ref: VmRef) {
  return { vm: ref, guestAnswersWithinSeconds, ...(startsPerHost !== undefined && { startsPerHost }) };
}

/** Throws ERR_AGENT_OFFLINE naming each site that an operation needs and whose agent is not connected. */
export async function refuseUnlessConnected(sites: Iterable<SiteId>, actor: Actor, { store, presence }: CompilePorts): Promise<void> {
  const away = [...new Set(sites)].filter((site) => !presence.isConnected(site));
  if (away.length === 0) return;
  const names = await Promise.all(away.map(async (id) => (await store.sites.find(actor.vaultId, id))?.name ?? id));
  throw new FarshoreError('ERR_AGENT_OFFLINE', `no agent is connected at ${names.join(', ')}`);
}

/** A protected VM at one of its sites. */
export interface Side {
  readonly location: ActiveLocation;
  readonly siteId: SiteId;
  readonly ref: VmRef;
}

/** The ends of its replication: the source sends, and a failover leads to the target. They change places when it is reversed. */
export function sidesOf({ vm, pairing }: Pick<TargetVm, 'vm' | 'pairing'>): { readonly source: Side; readonly target: Side } {
  const at = (location: ActiveLocation): Side => {
    const { siteId, cloudId } = pairing[location];
    return { location, siteId, ref: { cloudId, vmId: vm.vmId } };
  };
  return { source: at(vm.replicatesFrom), target: at(otherSide(vm.replicatesFrom)) };
}
