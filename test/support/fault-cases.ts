/** For each kind of operation: a world in which it can be asked for, and the asking. A kind that is missing does not compile. */
import type { OperationRequest } from '../../shared/api/operations.ts';
import type { RunKind } from '../../shared/domain/plan-actions.ts';
import type { JobId } from '../../shared/ids.ts';
import { replicatesAlready } from './by-hand.ts';
import type { FaultCase } from './operation-runs.ts';
import { digest } from './test-scripts.ts';
import { type Template, World } from './world.ts';

type Kind = OperationRequest['kind'];
export type CaseName =
  | Kind
  | 'protectWithExport'
  | 'plannedFailoverWithActions'
  | 'unplannedFailoverWithActions'
  | 'unplannedFailoverWithShutDown'
  | 'takeBackAfterCrash'
  | 'takeBackWithActions'
  | 'changeRecoveryPointWithActions'
  | 'changeRecoveryPointAfterOutage'
  | 'testFailoverWithActions';
type Case = Omit<FaultCase, 'kind' | 'template'> & { readonly template: () => Promise<Template> };

async function fresh(): Promise<Template> {
  return (await World.make({ vms: 2 })).asTemplate();
}

async function paired(): Promise<Template> {
  const world = await World.make({ vms: 2 });
  await world.pair();
  return world.asTemplate();
}

/** Two VMs that replicated before the clouds were paired, uncompressed. */
async function replicatingAlready(): Promise<Template> {
  const world = await World.make({ vms: 2 });
  await replicatesAlready(world, { policy: { compression: false } });
  await world.pair();
  return world.asTemplate();
}

/** Two VMs protected, and some time passed, so that there are recovery points to choose from. */
async function protectedPair(): Promise<World> {
  const world = await World.make({ vms: 2 });
  await world.pair();
  await world.protect();
  await world.clock.advance(65_000);
  return world;
}

/** Two VMs protected at Silver, and a second pairing that leads to Copper. */
async function pairedTwice(): Promise<Template> {
  const clouds = (...names: string[]) => names.map((name) => ({ name, vms: name === 'Gold' ? 2 : 0 }));
  const world = await World.make({ sites: { reading: clouds('Gold'), slough: clouds('Silver', 'Copper') } });
  await world.pair();
  await world.pair('reading/Gold', 'slough/Copper');
  await world.protect([0, 1], 'reading/Gold', 'slough/Silver');
  await world.clock.advance(65_000);
  return world.asTemplate();
}

/** Both run at the recovery site, where nothing is committed. */
async function failedOver(): Promise<Template> {
  const world = await protectedPair();
  await world.failOverAsPlanned();
  return world.asTemplate();
}

/** Reading went dark with its VMs on; it is back, and they still run there. */
async function failedOverByOutage(): Promise<World> {
  const world = await protectedPair();
  world.goesDark('reading');
  await world.failOver();
  world.returns('reading');
  return world;
}

/** The hosts at reading crashed and are back, so the VMs there are off and out of step. */
async function failedOverByCrash(): Promise<Template> {
  const world = await protectedPair();
  for (const { vmId } of await world.protectedVms()) await world.hostOfCrashes('reading', vmId);
  await world.failOver();
  return world.asTemplate();
}

/** vm-1 was failed over as planned, vm-2 after its host had died; the host is back. */
async function committed(): Promise<Template> {
  const world = await protectedPair();
  const [first, second] = await world.protectedVms();
  if (!first || !second) throw new Error('two VMs are protected');
  await world.failOverAsPlanned({ vms: [first.id] });
  await world.hostOfCrashes('reading', second.vmId);
  await world.failOver({ vms: [second.id] });
  await world.commit();
  return world.asTemplate();
}

/** The host of vm-1 crashed and is back. */
async function outOfStep(): Promise<Template> {
  const world = await protectedPair();
  await world.hostOfCrashes('reading', world.definition('reading').vms[0]?.id as never);
  return world.asTemplate();
}

/** Their first copies are carried. */
async function exportRequest(world: World): Promise<OperationRequest> {
  const request = await world.protectRequest();
  return request.kind === 'protect' ? { ...request, firstCopy: { how: 'export', folder: world.carried } } : request;
}

/** vm-1 at the side that sends, vm-2 at its replica. */
async function suspendedAtBothEnds(): Promise<Template> {
  const world = await protectedPair();
  const [first, second] = await world.protectedVms();
  if (!first || !second) throw new Error('two VMs are protected');
  await world.suspend({ vms: [first.id] });
  await world.suspend({ vms: [second.id] }, 'target');
  return world.asTemplate();
}

/** One action of each kind, before and after groups and members. */
const kinds: RunKind[] = ['planned', 'unplanned', 'test', 'takeBack', 'changeRecoveryPoint'];
const offKinds = ['planned' as const, 'takeBack' as const, 'changeRecoveryPoint' as const];
const withActions = (world: World) =>
  world.planOf([
    {
      name: 'databases',
      before: [{ do: 'ask', kinds, name: 'tell the bank', instruction: 'Call the bank.' }],
      members: [{ vm: 'vm-1', after: [{ do: 'waitForGuest', kinds, name: 'the guest is up' }] }],
      after: [
        { do: 'waitForTcp', kinds, name: 'SQL answers', host: 'sql', port: 1433, onFailure: 'continue' },
        { do: 'runScript', kinds, name: 'move the name', script: `Move-Name.ps1@${digest('a')}` },
      ],
    },
    {
      name: 'front',
      beforeShutDown: [{ do: 'runScript', kinds: offKinds, name: 'drain', script: `Drain.ps1@${digest('b')}` }],
      members: [
        {
          vm: 'vm-2',
          beforeShutDown: [{ do: 'waitForTcp', kinds: offKinds, name: 'no sessions', host: 'drained', port: 80, onFailure: 'continue' }],
          before: [{ do: 'waitForHttp', kinds, name: 'the shop knows', url: 'http://shop/', delaySeconds: 5 }],
        },
      ],
    },
  ]);

function sitesAreReady(world: World): void {
  for (const name of ['reading', 'slough'] as const) {
    const { network, scripts } = world.site(name);
    network.open.add('sql:1433').add('drained:80');
    network.statuses.set('http://shop/', 200);
    scripts.entries.push({ name: 'Move-Name.ps1', sha256: digest('a') }, { name: 'Drain.ps1', sha256: digest('b') });
  }
}

/** On a network that is made for it. */
const onOwnNetwork = (world: World, request: OperationRequest): OperationRequest =>
  request.kind === 'testFailover' ? { ...request, network: world.ownNetwork() } : request;

export const faultCases: { readonly [K in CaseName]: Case } = {
  pair: { template: fresh, request: async (world) => world.pairRequest() },
  changePairing: {
    template: async () => (await protectedPair()).asTemplate(),
    request: (world) => world.changeRequest({ copyFrequencySeconds: 300 }),
  },
  unpair: {
    template: paired,
    request: (world) => world.unpairRequest(),
  },
  movePairing: { template: pairedTwice, request: (world) => world.moveRequest() },
  protect: { template: paired, request: (world) => world.protectRequest() },
  protectWithExport: { template: paired, request: exportRequest },
  adopt: {
    template: replicatingAlready,
    request: async (world) => ({ ...(await world.adoptRequest()), differences: { do: 'bringToPolicy' } }),
  },
  unplannedFailover: {
    template: async () => (await protectedPair()).asTemplate(),
    before: (world) => world.goesDark('reading'),
    request: async (world) => world.requestFor('unplannedFailover', await world.plan([['vm-1'], ['vm-2']])),
  },
  plannedFailover: {
    template: async () => (await protectedPair()).asTemplate(),
    request: async (world) => world.requestFor('plannedFailover', await world.plan([['vm-1'], ['vm-2']])),
  },
  plannedFailoverWithActions: {
    template: async () => (await protectedPair()).asTemplate(),
    before: sitesAreReady,
    request: async (world) => world.requestFor('plannedFailover', await withActions(world)),
  },
  unplannedFailoverWithActions: {
    template: async () => (await protectedPair()).asTemplate(),
    before: (world) => {
      sitesAreReady(world);
      world.goesDark('reading');
    },
    request: async (world) => world.requestFor('unplannedFailover', await withActions(world)),
  },
  unplannedFailoverWithShutDown: {
    template: async () => (await protectedPair()).asTemplate(),
    request: async (world) => ({
      ...(await world.requestFor('unplannedFailover', await world.plan([['vm-1'], ['vm-2']]))),
      shutDownWithinSeconds: 600,
    }),
  },
  takeBack: {
    template: failedOver,
    request: async (world) => world.requestFor('takeBack', await world.plan([['vm-1'], ['vm-2']])),
  },
  takeBackWithActions: {
    template: failedOver,
    before: sitesAreReady,
    request: async (world) => world.requestFor('takeBack', await withActions(world)),
  },
  changeRecoveryPointWithActions: {
    template: failedOver,
    before: sitesAreReady,
    request: async (world) => world.requestFor('changeRecoveryPoint', await withActions(world)),
  },
  takeBackAfterCrash: {
    template: failedOverByCrash,
    request: async (world) => world.requestFor('takeBack', await world.plan([['vm-1'], ['vm-2']])),
  },
  changeRecoveryPointAfterOutage: {
    template: async () => (await failedOverByOutage()).asTemplate(),
    request: (world) => world.requestFor('changeRecoveryPoint'),
  },
  changeRecoveryPoint: {
    template: failedOver,
    request: (world) => world.requestFor('changeRecoveryPoint'),
  },
  commit: {
    template: async () => (await failedOverByOutage()).asTemplate(),
    request: (world) => world.requestFor('commit'),
  },
  reverseReplication: { template: committed, request: (world) => world.requestFor('reverseReplication') },
  importFirstCopy: {
    template: async () => {
      const world = await World.from(await paired());
      await world.settles(await world.ask(await exportRequest(world)));
      return world.asTemplate();
    },
    request: (world) => world.requestFor('importFirstCopy'),
  },
  suspend: {
    template: async () => (await protectedPair()).asTemplate(),
    request: (world) => world.requestFor('suspend'),
  },
  resume: { template: suspendedAtBothEnds, request: (world) => world.requestFor('resume') },
  resynchronize: { template: outOfStep, request: (world) => world.requestFor('resynchronize') },
  testFailover: {
    template: async () => (await protectedPair()).asTemplate(),
    request: async (world) => onOwnNetwork(world, await world.requestFor('testFailover', await world.plan([['vm-1'], ['vm-2']]))),
  },
  testFailoverWithActions: {
    template: async () => (await protectedPair()).asTemplate(),
    before: sitesAreReady,
    request: async (world) => world.requestFor('testFailover', await withActions(world)),
  },
  cleanUpTest: {
    template: async () => {
      const world = await protectedPair();
      const drill = await world.ask(onOwnNetwork(world, await world.requestFor('testFailover')));
      await world.settles(drill);
      return world.asTemplate();
    },
    request: async (world) => world.cleanUpRequest((await world.protectedVms())[0]?.drill as JobId),
  },
  unprotect: { template: async () => (await protectedPair()).asTemplate(), request: (world) => world.requestFor('unprotect') },
};

export async function faultCase(name: CaseName): Promise<FaultCase> {
  const { template, ...rest } = faultCases[name];
  return { kind: name.replace(/(With|After)[A-Z]\w*$/, '') as Kind, template: await template(), ...rest };
}
