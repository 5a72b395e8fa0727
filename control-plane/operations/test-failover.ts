/**
 * Test failover, a drill: test copies of VMs come up at the site that holds their replicas, on a network that leads nowhere, in
 * the order of the plan, from the recovery points and with the addresses that a failover would use. The VMs stay protected and go
 * on replicating under the same ownership decision. The job ends when the copies run; they stay until a person has looked at
 * them and cleans the drill up (clean-up-test.ts), so that no lock of a drill is in the way of a real failover.
 */
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import { compileDrill, type DrillWork } from '../../shared/domain/drill-graph.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { SiteId, VaultId } from '../../shared/ids.ts';
import type { ArgsOf } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Store } from '../store/store.ts';
import { approvalOf } from './approval.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, type CompilePorts, resolveAllowed, sidesOf, type TargetVm } from './compile.ts';
import type { Actor } from './operations.ts';
import { compileActions } from './plan-actions.ts';

export const compileTestFailover: Compile<'testFailover'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'testFailover', ['target'], actor, ports);
  const networkAt = await networksOf(request, members, actor, ports);
  const { groups, record } = compileActions(target, 'test', (member) => drillWork(member, request, networkAt.get(siteOf(member)) ?? null));
  const graph = compileDrill(groups);
  // A script does at the site what its plan says, drill or not; copies and waits reach nobody. No drill is an emergency.
  const runsScripts = graph.steps.some(({ work }) => work?.kind === 'script.run');
  const approval = runsScripts ? await approvalOf(target, undefined, actor, ports.store) : null;
  return {
    target: target.title,
    input: {
      target: request.target,
      ...record,
      approval,
      recoveryPoint: request.recoveryPoint,
      network: request.network,
      cleanUpAfterMinutes: request.cleanUpAfterMinutes,
    },
    graph,
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['protected'], drill: null })),
    newVms: [],
  };
};

type Wish = Pick<OperationRequestOf<'testFailover'>, 'id' | 'recoveryPoint' | 'keepFailed'>;

/** One that is there, or is made for the drill like that one. */
type NetworkAtSite = ArgsOf<'drill.connect'>['network'];

const siteOf = (member: TargetVm): SiteId => sidesOf(member).target.siteId;

function drillWork(member: TargetVm, { id: drill, recoveryPoint, keepFailed }: Wish, network: NetworkAtSite | null): DrillWork<StepWork> {
  const { vm, guestAnswersWithinSeconds, dependsOn } = member;
  const { siteId, ref } = sidesOf(member).target;
  const common = { siteId, epoch: vm.epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  return {
    vm: vm.id,
    name: vm.name,
    dependsOn,
    look: { ...common, kind: 'drill.admit', args: { vm: ref, recoveryPoint, network } },
    copy: {
      ...common,
      kind: 'drill.copy',
      args: { vm: ref, recoveryPoint },
      vm: { id: vm.id, marks: { started: 'testCopyBegun', takenBack: 'testCopyRemoved' } },
    },
    cleanUp: keepFailed ? null : { ...common, kind: 'drill.cleanUp', args: { vm: ref, drill } },
    connect: network === null ? null : { ...common, kind: 'drill.connect', args: { vm: ref, network } },
    start: { ...common, kind: 'drill.start', args: { vm: ref, network, guestAnswersWithinSeconds } },
  };
}

/**
 * The network for each site that holds replicas of the drill. Throws ERR_REQUEST_INVALID naming each site without one,
 * ERR_NETWORK_NOT_FOUND, and ERR_NETWORK_NOT_ISOLATED for one that a pairing uses: what else leads out only the site can tell.
 */
async function networksOf(
  { id: drill, network: choice }: Pick<OperationRequestOf<'testFailover'>, 'id' | 'network'>,
  members: readonly TargetVm[],
  { vaultId }: Actor,
  { store }: CompilePorts,
): Promise<ReadonlyMap<SiteId, NetworkAtSite>> {
  if (choice.use === 'none') return new Map();
  const chosen = new Map(choice.networks.map(({ siteId, networkId }) => [siteId, networkId]));
  const names = new Map((await store.sites.list(vaultId)).map(({ id, name }) => [id, name]));
  const nameOf = (site: SiteId) => names.get(site) ?? site;
  const without = [...new Set(members.map(siteOf))].filter((site) => !chosen.has(site));
  refuse(
    'ERR_REQUEST_INVALID',
    'every site that the drill leads to needs a network',
    without,
    (site) => `no network is named for ${nameOf(site)}`,
  );
  const known = new Set((await store.observations.networks(vaultId)).map(({ siteId, id }) => `${siteId}/${id}`));
  const unknown = choice.networks.filter(({ siteId, networkId }) => !known.has(`${siteId}/${networkId}`));
  refuse(
    'ERR_NETWORK_NOT_FOUND',
    'not every network is there',
    unknown,
    ({ siteId, networkId }) => `${nameOf(siteId)} has no VM network ${networkId}`,
  );
  if (choice.use === 'made') return new Map([...chosen].map(([site, like]) => [site, { drill, like }]));
  refuse(
    'ERR_NETWORK_NOT_ISOLATED',
    'a drill does not use the networks of production',
    (await networksInUse(vaultId, store)).filter(({ siteId, networkId }) => chosen.get(siteId) === networkId),
    ({ pairing, siteId }) => `the network for ${nameOf(siteId)} is in the network map of the pairing ${pairing}`,
  );
  return chosen;
}

async function networksInUse(vaultId: VaultId, { promises }: Store) {
  return (await promises.pairings(vaultId)).flatMap(({ name: pairing, primary, recovery, networks }) =>
    networks.flatMap(({ from, to }) => [
      { pairing, siteId: primary.siteId, networkId: from },
      { pairing, siteId: recovery.siteId, networkId: to },
    ]),
  );
}

function refuse<T>(
  code: 'ERR_REQUEST_INVALID' | 'ERR_NETWORK_NOT_FOUND' | 'ERR_NETWORK_NOT_ISOLATED',
  message: string,
  wrong: readonly T[],
  tell: (one: T) => string,
): void {
  if (wrong.length > 0)
    throw new FarshoreError(code, message, { problems: wrong.map((one) => ({ field: 'network', message: tell(one) })) });
}
