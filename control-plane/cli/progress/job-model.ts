/**
 * A job while it is watched: the answer of the server, kept up to date from the facts that stream in. What follows from a
 * fact only by the rules of the engine (steps that will never start) is not worked out here: the answer is then read again.
 */
import type { JobDetailAnswer, MemberStatus, StepAnswer } from '../../../shared/api/jobs.ts';
import { memberStatus } from '../../../shared/api/member-status.ts';
import { type Fact, isOfTheJob, stateFrom } from '../../../shared/engine/facts.ts';
import { errorCodes } from '../../../shared/errors.ts';
import type { StepId } from '../../../shared/ids.ts';
import { isoMoment } from '../../../shared/ports.ts';
import type { Stage } from '../../../shared/protocol/commands.ts';

export interface ModelMember {
  readonly name: string;
  readonly steps: readonly Draft<StepAnswer>[];
  status: MemberStatus;
}

export interface ModelGroup {
  readonly name: string;
  readonly members: readonly ModelMember[];
}

/** More follows from them than they tell. */
const overtaking: readonly Fact['type'][] = ['ended', 'parked', 'waiting', 'held', 'resumed', 'cancelled', 'decided'];

type Draft<T> = { -readonly [K in keyof T]: T[K] };

export class JobModel {
  readonly detail: JobDetailAnswer;
  readonly groups: readonly ModelGroup[];
  lastSeq: number;
  state: JobDetailAnswer['state'];
  /** The server knows more by now than can be told from the facts. */
  isOutdated = false;
  readonly #steps = new Map<StepId, { readonly step: Draft<StepAnswer>; readonly member: ModelMember }>();

  constructor(detail: JobDetailAnswer) {
    this.detail = detail;
    this.lastSeq = detail.lastSeq;
    this.state = detail.state;
    this.groups = detail.groups.map(({ name, members }) => ({
      name,
      members: members.map((answer) => {
        const member: ModelMember = { name: answer.name, steps: answer.steps.map((step) => ({ ...step })), status: answer.status };
        for (const step of member.steps) this.#steps.set(step.id, { step, member });
        return member;
      }),
    }));
  }

  find(id: StepId): { readonly step: StepAnswer; readonly member: ModelMember } | undefined {
    return this.#steps.get(id);
  }

  stage(id: StepId, stage: Stage): void {
    const found = this.#steps.get(id);
    if (found) found.step.stage = stage;
  }

  /** A fact that was seen already changes nothing. */
  apply(seq: number, fact: Fact): boolean {
    if (seq <= this.lastSeq) return false;
    this.lastSeq = seq;
    if (isOfTheJob(fact)) this.state = stateFrom(fact);
    if (fact.type === 'decided') this.state = 'inProgress';
    if (overtaking.includes(fact.type)) this.isOutdated = true;
    if (!('step' in fact)) return true;
    const found = this.#steps.get(fact.step);
    if (!found) return true;
    this.#applyStep(found.step, fact);
    found.member.status = memberStatus(found.member.steps);
    return true;
  }

  #applyStep(step: Draft<StepAnswer>, fact: Extract<Fact, { step: StepId }>): void {
    const at = isoMoment(fact.at);
    step.stage = null;
    switch (fact.type) {
      case 'started':
      case 'asked':
      case 'undoStarted':
        step.status = fact.type === 'undoStarted' ? 'undoing' : 'running';
        step.waitsForPerson = fact.type === 'asked';
        step.attempt = fact.attempt;
        step.startedAt ??= at;
        step.endedAt = null;
        return;
      case 'done':
      case 'notNeeded':
      case 'undone':
        step.status = fact.type;
        step.endedAt = at;
        step.error = null;
        return;
      case 'failed':
      case 'undoFailed': {
        const { cause, remedy } = errorCodes[fact.error.code];
        step.status = fact.retry ? 'waiting' : fact.type;
        step.endedAt = at;
        step.error = { ...fact.error, cause, remedy };
        if (!fact.retry) this.isOutdated = true;
      }
    }
  }
}
