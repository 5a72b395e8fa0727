/** What scenarios about actions of plans look at in a job: what was begun, its view, and what its report is made of. */
import assert from 'node:assert/strict';
import { jobDetail } from '../../control-plane/api/job-view.ts';
import type { JobId } from '../../shared/ids.ts';
import type { World } from './world.ts';

export const stateOf = async (world: World, id: JobId) => (await world.job(id))?.job.state;

/** What was begun, in order: actions by their name, VMs by theirs. */
export async function begun(world: World, id: JobId, parts: readonly string[] = ['action', 'start']): Promise<string[]> {
  const titles = new Map((await world.graph(id)).steps.map(({ id: step, title }) => [step as string, title]));
  const facts = (await world.job(id))?.facts ?? [];
  const steps = facts.flatMap((fact) => (fact.type === 'started' || fact.type === 'asked' ? [fact.step as string] : []));
  return steps.filter((step) => parts.includes(step.slice(0, step.indexOf('/')))).map((step) => titles.get(step) ?? step);
}

export async function partsOf(world: World, id: JobId) {
  const stored = await world.job(id);
  assert.ok(stored);
  const facts = stored.facts.map((fact, index) => ({ seq: index + 1, fact }));
  return { job: stored.job, graph: await world.graph(id), facts, names: new Map() };
}

export async function viewOf(world: World, id: JobId) {
  const agentOf = () => ({ siteName: '', isConnected: true, lastHeardAt: null });
  return jobDetail({ ...(await partsOf(world, id)), stageOf: () => null, agentOf, takesItselfBackAt: null, now: world.clock.now() });
}

export const stepOf = async (world: World, id: JobId, title: string) =>
  (await world.graph(id)).steps.find((step) => step.title === title)?.id ?? '';
