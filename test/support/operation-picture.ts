/** How everything stands, without the moments and the number of attempts: what has to be equal however a run was hurt. */
import type { Fact } from '../../shared/engine/facts.ts';
import { isGate, type Step } from '../../shared/engine/graph.ts';
import { RunState } from '../../shared/engine/run-state.ts';
import { isUnknownOutcome } from '../../shared/errors.ts';
import type { JobId, VmRef } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { SiteName, World } from './world.ts';

export interface Failure {
  readonly step: string;
  readonly scope: string;
  readonly isUndo: boolean;
  readonly isFinal: boolean;
  /** A pivot of its scope had begun. */
  readonly isPastPivot: boolean;
  /** The graph says that what needs it goes on all the same. */
  readonly isPassedOver: boolean;
  readonly attempts: number;
  readonly attemptsMost: number;
}

export interface Picture {
  readonly state: string;
  readonly steps: Readonly<Record<string, string>>;
  readonly scopes: readonly string[];
  /** With one scope that fails all do: the graph says so, and no pivot was begun before. */
  readonly fallsTogether: boolean;
  /** By scope: the VM at both sites and in the promises, or the pairing. */
  readonly things: Readonly<Record<string, Thing>>;
  readonly failures: readonly Failure[];
}

/** Of a job, or of the world before there is one. */
export async function pictureOf(world: World, id: JobId | null): Promise<Picture> {
  const things = await thingsOf(world);
  const stored = id === null ? null : await world.job(id);
  if (id === null || stored === null) return { state: '', steps: {}, scopes: [], fallsTogether: false, things, failures: [] };
  const graph = await world.graph(id);
  const run = new RunState(graph, stored.facts);
  return {
    state: stored.job.state,
    steps: Object.fromEntries([...run.views()].map(({ step, status }) => [nameStep(world, step.id), status])),
    scopes: [...new Set(graph.steps.filter((step) => !isGate(step)).map(({ scope }) => nameScope(world, scope)))],
    fallsTogether: graph.together === true && !hasBegunPivot(graph.steps, stored.facts),
    things,
    failures: failuresOf(graph.steps, stored.facts).map((failure) => ({
      ...failure,
      step: nameStep(world, failure.step),
      scope: nameScope(world, failure.scope),
    })),
  };
}

/** Whether a pivot was begun before anything failed for good. */
function hasBegunPivot(steps: readonly Step<StepWork>[], facts: readonly Fact[]): boolean {
  const end = facts.findIndex((fact) => fact.type === 'failed' && !fact.retry);
  const begun = new Set(facts.slice(0, end < 0 ? facts.length : end).flatMap((fact) => (fact.type === 'started' ? [fact.step] : [])));
  return steps.some(({ id, pivot }) => pivot && begun.has(id));
}

function failuresOf(steps: readonly Step<StepWork>[], facts: readonly Fact[]): Failure[] {
  const byId = new Map(steps.map((step) => [step.id as string, step]));
  const pastPivot = new Set<string>();
  return facts.flatMap((fact): Failure[] => {
    const step = 'step' in fact ? byId.get(fact.step) : undefined;
    if (fact.type === 'started' && step?.pivot) pastPivot.add(step.scope);
    if (!step || (fact.type !== 'failed' && fact.type !== 'undoFailed') || fact.retry) return [];
    const { id, scope, attempts = 1 } = step;
    const isUndo = fact.type === 'undoFailed';
    return [
      {
        step: id,
        scope,
        isUndo,
        isFinal: true,
        isPastPivot: pastPivot.has(scope),
        isPassedOver: step.aside === 'continue' && !isUndo,
        attempts: fact.attempt,
        attemptsMost: attempts,
      },
    ];
  });
}

/** Ids of protected VMs are drawn anew in each world, so scopes are told by the id that the fabric gave the VM. */
const names = new WeakMap<World, Map<string, string>>();

async function thingsOf(world: World): Promise<Record<string, Record<string, unknown>>> {
  const known = names.get(world) ?? new Map<string, string>();
  names.set(world, known);
  for (const event of world.trace.events) if (event.type === 'opened') for (const vm of event.job.newVms) known.set(vm.id, vm.name);
  const things: Record<string, Record<string, unknown>> = {};
  const promised = await world.protectedVms();
  for (const { id, cloudId, name } of world.definition('reading').vms) {
    const promise = promised.find(({ vmId }) => vmId === id);
    things[name] = {
      phase: promise?.phase ?? 'not protected',
      activeLocation: promise?.activeLocation ?? 'primary',
      busy: promise ? promise.busyWith !== null : false,
      epoch: promise?.epoch ?? 0,
      hasDrill: (promise?.drill ?? null) !== null,
      atReading: await atSite(world, 'reading', { cloudId, vmId: id }),
      atSlough: (
        await Promise.all(world.definition('slough').clouds.map((cloud) => atSite(world, 'slough', { cloudId: cloud.id, vmId: id })))
      ).join('; '),
      pairing: promise?.pairingId ?? 'none',
    };
  }
  const [pairing] = (await world.pairings()).filter(({ state }) => state !== 'failed');
  const drillNetworks = world.siteNames.reduce((sum, site) => sum + world.site(site).fabric.madeForDrills().length, 0);
  things.pairing = { state: pairing?.state ?? 'none', prepared: preparedSites(world), drillNetworks };
  return things;
}

async function atSite(world: World, site: SiteName, ref: VmRef): Promise<string> {
  const vm = await world.site(site).fabric.findVm(ref);
  if (vm === null) return 'none';
  const copy = await world.site(site).fabric.findTestCopy(ref);
  const test = copy === null ? '' : `; test copy ${copy.power}, ${copy.networkIds.length} networks`;
  return `${vm.power} ${vm.replication.mode}/${vm.replication.state}, ${vm.networkIds.length} networks${test}`;
}

/** Where the hosts are prepared: the last that was done to them. */
function preparedSites(world: World): string[] {
  const last = new Map<string, string>();
  for (const event of world.trace.events) {
    if (event.type !== 'effect') continue;
    if (event.task.operation === 'prepareHosts' || event.task.operation === 'releaseHosts') last.set(event.site, event.task.operation);
  }
  return [...last]
    .filter(([, operation]) => operation === 'prepareHosts')
    .map(([site]) => site)
    .sort();
}

const nameScope = (world: World, scope: string): string => names.get(world)?.get(scope) ?? scope;

function nameStep(world: World, id: string): string {
  const cut = id.lastIndexOf('/') + 1;
  return id.slice(0, cut) + nameScope(world, id.slice(cut));
}

/** The steps that wait for a person, by their own ids. */
export async function waitingSteps(world: World, id: JobId): Promise<string[]> {
  const stored = await world.job(id);
  if (stored === null) return [];
  const run = new RunState(await world.graph(id), stored.facts);
  return [...run.views()].flatMap(({ step }) => (run.waitsForPerson(step.id) ? [step.id] : []));
}

export interface AskedStep {
  readonly step: string;
  readonly answer: 'confirm' | 'retry';
}

/** Steps that wait for a person although nothing is wrong: one is to be confirmed, or what became of it is not known. */
export async function askedSteps(world: World, id: JobId): Promise<AskedStep[]> {
  const stored = await world.job(id);
  if (stored === null) return [];
  const run = new RunState(await world.graph(id), stored.facts);
  return [...run.views()].flatMap(({ step, status, error }): AskedStep[] => {
    if (!run.waitsForPerson(step.id)) return [];
    if (status === 'running') return [{ step: step.id, answer: 'confirm' }];
    return error !== null && isUnknownOutcome(error.code) ? [{ step: step.id, answer: 'retry' }] : [];
  });
}

/** How one VM stands, or the pairing. */
export type Thing = Readonly<Record<string, unknown>>;

/** `thing`, with the fields as they are in `other`. */
export function sameBut(thing: Thing | undefined, other: Thing | undefined, ...fields: readonly string[]): Thing | undefined {
  const own = fields.filter((field) => thing !== undefined && field in thing);
  return thing && { ...thing, ...Object.fromEntries(own.map((field) => [field, other?.[field]])) };
}
