/**
 * The graph of a drill. Pure, and blind to what a step does. Members stand and fall one by one: whoever fails is cleaned up and
 * leaves nothing, unless it is to be looked at, and the others go on. There is no pivot, because nothing of it is production, so a drill ends by itself and
 * never holds a VM that a real failover may need.
 *
 * Test copies are made all at once and started group by group. Who depends on another starts after it, whether that came up or
 * not: only what is past a pivot may be needed, and a drill is there to find out. Actions that name the drill run as they do in a failover.
 */
import type { Graph, Step } from '../engine/graph.ts';
import type { ProtectedVmId, StepId } from '../ids.ts';
import { type Acting, type Before, compileGroups, type Ends, endsNeeded, stepOf, withActions } from './plan-compiler.ts';

export interface DrillWork<Work> extends Acting<Work> {
  readonly vm: ProtectedVmId;
  readonly name: string;
  readonly look: Work;
  readonly copy: Work;
  /** Null: the copy of one that fails stays, to be looked at. */
  readonly cleanUp: Work | null;
  /** Null: the copy stays unconnected. */
  readonly connect: Work | null;
  readonly start: Work;
  readonly dependsOn: readonly ProtectedVmId[];
}

export interface DrillGroup<Work> extends Acting<Work> {
  readonly name: string;
  readonly members: readonly DrillWork<Work>[];
}

const ATTEMPTS = 3;

/** The step that makes the test copy of a VM: the graph of a drill tells by it where the copy is. */
export const copyStepOf = (vm: ProtectedVmId): StepId => stepOf('copy', vm);

export function compileDrill<Work>(groups: readonly DrillGroup<Work>[]): Graph<Work> {
  return compileGroups(groups, copyStepOf, memberSteps);
}

function memberSteps<Work>(member: DrillWork<Work>, turn: Before, ends: Ends): Step<Work>[] {
  const { vm, name } = member;
  const base = { scope: vm, attempts: ATTEMPTS, after: [] };
  const [look, copy, connect] = [stepOf('look', vm), copyStepOf(vm), stepOf('connect', vm)];
  const undo = member.cleanUp === null ? {} : { undo: member.cleanUp };
  const after = [...turn.after, ...endsNeeded(member, ends)];
  const needs = [member.connect === null ? copy : connect, ...turn.needs];
  return [
    { ...base, id: look, title: `look at the replica of ${name}`, work: member.look, looksOnly: true, needs: [] },
    { ...base, id: copy, title: `make the test copy of ${name}`, work: member.copy, ...undo, needs: [look] },
    ...(member.connect === null
      ? []
      : [{ ...base, id: connect, title: `connect the test copy of ${name} to the drill network`, work: member.connect, needs: [copy] }]),
    ...withActions(member, {
      ...base,
      id: stepOf('start', vm),
      title: `start the test copy of ${name}`,
      work: member.start,
      needs,
      after,
    }),
  ];
}
