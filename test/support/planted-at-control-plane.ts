/** Bugs that are planted in the control plane: its operations, the engine, the rules of the domain. */
import type { PlantedBug } from './planted-bug.ts';

const engine = 'shared/engine/engine.ts';
const runState = 'shared/engine/run-state.ts';

export const atControlPlane: readonly PlantedBug[] = [
  {
    name: 'given-up-in-a-blink',
    what: 'a site is given up while its agent may still act',
    edits: [{ file: 'control-plane/operations/silence.ts', from: 'if (ports.clock.now() < from) throw', to: 'if (from < 0) throw' }],
    scenario: 'given up in a moment',
    invariant: 'withdrawn',
  },
  {
    name: 'newer-not-held',
    what: 'a job of a backup goes on although a site knows a newer decision about its VM',
    edits: [
      {
        file: 'control-plane/operations/restart-check.ts',
        from: "if (isHeld) await this.#hold(found, 'ERR_NEWER_DECISION', [{ site, upTo }]);",
        to: '',
      },
    ],
    scenario: 'backup restored after a failover',
    invariant: 'single-activation',
  },
  {
    name: 'unheard-goes-on',
    what: 'a job of a backup goes on before every site of its VMs has told what it knows',
    edits: [
      {
        file: 'control-plane/operations/restart-check.ts',
        from: "state: held ?? (mayWait ? 'waiting' : 'goesOn'),",
        to: "state: held ?? 'goesOn',",
      },
    ],
    scenario: 'backup restored, and a site is away',
    invariant: 'restored-waits',
  },
  {
    name: 'epoch-used-again',
    what: 'after a backup was put back an ownership decision has a number that sites have seen',
    edits: [
      {
        file: 'control-plane/store/promises.ts',
        from: 'nextEpoch: Math.max(row.epoch, row.seen_epoch ?? 0) + 1,',
        to: 'nextEpoch: row.epoch + 1,',
      },
    ],
    scenario: 'backup restored, and decided anew',
    invariant: 'epoch-order',
  },
  {
    name: 'stop-goes-on',
    what: 'a plan goes on although an action with `stop` has failed',
    edits: [{ file: 'shared/engine/run-nodes.ts', from: "step.aside === 'continue' &&", to: 'step.aside !== undefined &&' }],
    scenario: 'action fails',
    invariant: 'stop-holds',
  },
  {
    name: 'acts-for-nobody',
    what: 'an action of a group is run although all members of the group have fallen',
    edits: [
      {
        file: 'shared/engine/run-nodes.ts',
        from: 'return group?.left === 0 && attempt === 0;',
        to: 'return false && group !== null && attempt === 0;',
      },
    ],
    scenario: 'all of a group fall',
    invariant: 'action-needed',
  },
  {
    name: 'passed-over-too-soon',
    what: 'an action of a group is passed over when the first of its members has fallen',
    edits: [{ file: 'shared/engine/run-nodes.ts', from: 'group.left--;', to: 'group.left = 0;' }],
    scenario: 'one of a group falls',
    invariant: 'action-needed',
  },
  {
    name: 'members-fall-alone',
    what: 'a planned failover goes on with the others when one member cannot be moved, and leaves the application in two halves',
    edits: [{ file: runState, from: 'if (this.#together && !waits) this.#failAll();', to: '' }],
    scenario: 'planned calls fail',
    invariant: 'clean-undo',
  },
  {
    name: 'skip-starts-twice',
    what: 'a VM is started at the primary although a person skipped switching it off at the recovery site',
    edits: [{ file: runState, from: 'if (node.step.skipEndsScope) this.#giveUp(node.scope);', to: '' }],
    scenario: 'taking back is skipped',
    invariant: 'single-activation',
  },
  {
    name: 'last-changes-not-sent',
    what: 'the primary is not prepared before the replica is failed over',
    edits: [
      {
        file: 'shared/domain/planned-failover-graph.ts',
        from: "return { ...step, needs: [stepOf('shut-down', step.scope), ...step.needs] };",
        to: 'return step;',
      },
    ],
    scenario: 'planned calls fail',
    invariant: 'single-activation',
  },
  {
    name: 'left-is-undone',
    what: 'a VM is called protected although a person left its replica failed over',
    edits: [{ file: 'control-plane/operations/job-run.ts', from: 'left.has(step.scope) ? undoneInPart : undone', to: 'undone' }],
    scenario: 'undo is skipped',
    invariant: 'promise-kept',
  },
  {
    name: 'dispatch-before-log',
    what: 'steps are handed out before the log has them',
    edits: [
      {
        file: engine,
        from: '    this.#written = this.#commit.add(facts);\n',
        to: '    if (assignments.length > 0) this.#ports.dispatch(assignments);\n    this.#written = this.#commit.add(facts);\n',
      },
    ],
    scenario: 'control plane dies',
    invariant: 'written-first',
  },
  {
    name: 'confirm-before-durable',
    what: 'an outcome that came twice is confirmed while the first is still being written',
    edits: [{ file: engine, from: 'return this.#written;', to: 'return;' }],
    scenario: 'everything twice',
    invariant: 'written-first',
  },
  {
    name: 'projection-apart',
    what: 'what becomes of a VM is written before the fact, not with it',
    edits: [
      {
        file: 'control-plane/operations/job-run.ts',
        from: '    await this.#ports.jobs.append(\n      this.job.vaultId,\n      this.job.id,\n      facts,\n      facts.flatMap((fact) => this.#projectionsOf(fact)),\n    );\n',
        to: `    await this.#ports.jobs.append(this.job.vaultId, this.job.id, [], facts.flatMap((fact) => this.#projectionsOf(fact)));
    await this.#ports.jobs.append(this.job.vaultId, this.job.id, facts, []);\n`,
      },
    ],
    scenario: 'control plane dies',
    invariant: 'every-job-ends',
  },
  {
    name: 'retry-without-bound',
    what: 'a step is tried for ever',
    edits: [{ file: engine, from: 'const retry = mayTry && attempt < (step.attempts ?? 1) &&', to: 'const retry = mayTry &&' }],
    scenario: 'calls fail',
    invariant: 'bounded-retries',
  },
  {
    name: 'new-id-on-resend',
    what: 'a command that is sent again gets a new id',
    edits: [
      {
        file: 'control-plane/operations/job-run.ts',
        from: 'commandId: commandIdOf(jobId, { step: step.id, direction, attempt }),',
        to: `commandId: \`\${jobId}/\${step.id}/\${attempt}.\${this.#ports.clock.now()}\${direction === 'undo' ? '/undo' : ''}\` as never,`,
      },
    ],
    scenario: 'control plane dies',
    invariant: 'cause',
  },
  {
    name: 'acknowledge-before-stored',
    what: 'whoever asks for a job is told yes before it is stored',
    edits: [
      {
        file: 'control-plane/operations/runner.ts',
        from: '    const { opened, stored } = await this.#openJob({ job, ...parts, byRule: byRule !== undefined }, actor);\n',
        to: `    void this.#openJob({ job, ...parts, byRule: byRule !== undefined }, actor).then(({ stored }) => this.#begin(new JobRun(stored, parts.graph, [], this.#jobPorts)));
    return { job: job as never, isNew: true };
    const { opened, stored } = { opened: 'opened', stored: job as never };\n`,
      },
    ],
    scenario: 'control plane dies',
    invariant: 'acknowledged-survives',
  },
  {
    name: 'failover-asks-primary',
    what: 'an unplanned failover gives the primary site work',
    edits: [
      {
        file: 'control-plane/operations/failover-work.ts',
        from: 'const { siteId, ref } = sidesOf(member).target;',
        to: 'const { siteId, ref } = sidesOf(member).source;',
      },
    ],
    scenario: 'agent dies',
    invariant: 'dead-site',
  },
  {
    name: 'reversal-not-followed',
    what: 'a failover leads to the recovery site although replication was reversed',
    edits: [
      {
        file: 'control-plane/operations/compile.ts',
        from: 'target: at(otherSide(vm.replicatesFrom)) };',
        to: "target: at('recovery') };",
      },
    ],
    scenario: 'failed back',
    invariant: 'dead-site',
  },
  {
    name: 'reachability-not-checked',
    what: 'a primary that is connected is taken for unreachable',
    edits: [
      {
        file: 'control-plane/operations/unplanned-failover.ts',
        from: "if (request.primary.evidence === 'unreachable') await",
        to: 'if (actor === null) await',
      },
    ],
    scenario: 'reachable primary',
    invariant: 'single-activation',
  },
  {
    name: 'undo-past-pivot',
    what: 'a failover that has started machines takes itself back',
    edits: [{ file: 'shared/engine/run-nodes.ts', from: "return isPastPivot ? 'stuck' : 'unwinding';", to: "return 'unwinding';" }],
    scenario: 'calls fail',
    invariant: 'order',
  },
  {
    name: 'groups-together',
    what: 'a group does not wait for the one before it',
    edits: [{ file: runState, from: 'node.needsLeft > 0 || node.afterLeft > 0 ||', to: 'node.needsLeft > 0 ||' }],
    scenario: 'agent dies',
    invariant: 'order',
  },
  {
    name: 'writes-overtake',
    what: 'a write of the log goes on although an earlier one of the same job has failed',
    edits: [{ file: engine, from: 'this.#written = this.#commit.add(facts);', to: 'this.#written = this.#write(facts);' }],
    scenario: 'writes fail',
    invariant: 'promise-kept',
  },
  {
    name: 'confirm-while-resting',
    what: 'an outcome is confirmed while its job is not loaded and cannot take it',
    edits: [
      { file: 'control-plane/operations/runner.ts', from: 'if (!open) return this.#refuseIfResting(commandId);', to: 'if (!open) return;' },
    ],
    scenario: 'job rests',
    invariant: 'written-first',
  },
  {
    name: 'tried-is-forgotten',
    what: 'a step that was tried and waits to be tried again is not undone when it is cancelled',
    edits: [{ file: runState, from: "const wasTried = node.attempt > 0 && scope.status === 'unwinding';", to: 'const wasTried = false;' }],
    scenario: 'cancelled',
    invariant: 'clean-undo',
  },
  {
    name: 'copy-left-behind',
    what: 'the test copy of a member that failed is not cleaned up',
    edits: [{ file: 'shared/domain/drill-graph.ts', from: ' ...undo,', to: '' }],
    scenario: 'drill calls fail',
    invariant: 'clean-undo',
  },
  {
    name: 'copy-forgotten',
    what: 'a drill is taken for cleaned up although its test copy could not be removed',
    edits: [
      {
        file: 'control-plane/operations/job-run.ts',
        from: "(fact.type === 'undone' && marks.takenBack)",
        to: "((fact.type === 'undone' || fact.type === 'undoFailed') && marks.takenBack)",
      },
    ],
    scenario: 'drill calls fail',
    invariant: 'drill-known',
  },
  {
    name: 'old-end-hits-new',
    what: 'what an end of protection by force left is tried again after the VM was protected anew',
    edits: [
      { file: 'control-plane/operations/unprotect.ts', from: 'phases: PHASES, epoch: nextEpoch }', to: 'phases: PHASES }' },
      {
        file: 'control-plane/operations/protected-anew.ts',
        from: "if (job.kind !== 'unprotect' && job.kind !== 'movePairing') return;",
        to: 'return;',
      },
    ],
    scenario: 'protected anew',
    invariant: 'newest-protection',
  },
  {
    name: 'copy-left-to-force',
    what: 'a drill counts as passed when no VM tells of it any more, although a VM was unprotected by force with its copy there',
    edits: [{ file: 'shared/domain/drill.ts', from: 'hasSucceeded && isCleanedUp &&', to: 'hasSucceeded &&' }],
    scenario: 'drilled VM unprotected by force',
    invariant: 'drill-passed',
  },
];
