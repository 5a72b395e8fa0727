/** Bugs that are planted in the agent, and in what it says and is told. */
import type { PlantedBug } from './planted-bug.ts';

const agentRunner = 'provider-agent/commands/runner.ts';
const failover = 'provider-agent/commands/failover.ts';
const drill = 'provider-agent/commands/drill.ts';
const egress = 'shared/protocol/egress.ts';

export const atAgents: readonly PlantedBug[] = [
  {
    name: 'resumes-by-itself',
    what: 'an agent that starts goes on with what it had begun before anybody has asked it to',
    edits: [
      {
        file: agentRunner,
        from: '    this.#lastSequence = ports.journal.lastSequence;\n',
        to: '    this.#lastSequence = ports.journal.lastSequence;\n    for (const { order } of ports.journal.unfinished()) this.#start(order, (begun) => this.#again(begun));\n',
      },
      { file: agentRunner, from: '    if (!this.#isWanted(running)) refuseToGoOn(running);\n', to: '' },
    ],
    scenario: 'given up, and its agent had died',
    invariant: 'withdrawn',
  },
  {
    name: 'lease-ignored',
    what: 'an agent goes on changing its site although the control plane was not heard for long',
    edits: [{ file: agentRunner, from: '    if (!this.#isWanted(running)) refuseToGoOn(running);\n', to: '' }],
    scenario: 'given up, and its agent lives',
    invariant: 'single-activation',
  },
  {
    name: 'suspension-believed',
    what: 'replication is called suspended although nobody has suspended it',
    edits: [
      {
        file: 'provider-agent/commands/suspension.ts',
        from: "isReached: (vm) => vm?.replication.state === 'suspended',",
        to: 'isReached: () => true,',
      },
    ],
    scenario: 'suspended',
    invariant: 'promise-kept',
  },
  {
    name: 'script-run-again',
    what: 'a script that an agent had begun when it died is run again by the next one',
    edits: [{ file: 'provider-agent/commands/script-run.ts', from: 'if (handler.isResumed) throw', to: 'if (name === null) throw' }],
    scenario: 'agent dies in a script',
    invariant: 'action-once',
  },
  {
    name: 'epoch-not-checked',
    what: 'the agent does not hold a command against the epochs that the site has seen',
    edits: [{ file: agentRunner, from: 'return epoch < highest ?', to: 'return epoch < 0 ?' }],
    scenario: 'backup restored',
    invariant: 'epoch-order',
  },
  {
    name: 'no-fence',
    what: 'a VM is started without its epoch written to it first',
    edits: [{ file: failover, from: '  await raiseEpoch(ref, context);\n', to: '' }],
    scenario: 'agent dies',
    invariant: 'epoch-order',
  },
  {
    name: 'act-before-intent',
    what: 'the agent acts while its intent is still being written',
    edits: [
      { file: agentRunner, from: 'await journal.begin(order, sequence);', to: 'setImmediate(() => void journal.begin(order, sequence));' },
    ],
    scenario: 'agent dies',
    invariant: 'written-first',
  },
  {
    name: 'answer-before-result',
    what: 'the agent answers before the result is in its journal',
    edits: [
      {
        file: agentRunner,
        from: '    return this.#conclude(order, outcome);\n',
        to: '    this.#ports.onFinished({ commandId: order.commandId, outcome, endedAt: 0 });\n    return this.#conclude(order, outcome);\n',
      },
    ],
    scenario: 'agent dies',
    invariant: 'written-first',
  },
  {
    name: 'blind-retry',
    what: 'a failover that was cut off is taken back and done again, without a look whether it had been done',
    edits: [
      {
        file: failover,
        from: "    context.progress('failingOver');\n",
        to: "    if ((await findExisting(ref, context)).replication.state === 'failedOverWaitingCompletion') await context.fabric.stopFailover(ref, context.act);\n    context.progress('failingOver');\n",
      },
    ],
    scenario: 'agent dies',
    invariant: 'effect-once',
  },
  {
    name: 'found-is-own',
    what: 'a replica that another job failed over is taken for failed over by this one',
    edits: [
      {
        file: failover,
        from: 'isReached: (found) => isOwn(found, context)',
        to: 'isReached: (found) => found !== null && isFailedOver(found)',
      },
    ],
    scenario: 'failed over again',
    invariant: 'promise-kept',
  },
  {
    name: 'no-look-before-start',
    what: 'vm.start starts without looking whether the VM runs already',
    edits: [
      {
        file: failover,
        from: "await reach({ ref, isReached: (vm) => vm?.power === 'running', act: () => context.fabric.startVm(ref, context.act) }, context);",
        to: 'await context.fabric.startVm(ref, context.act);',
      },
    ],
    scenario: 'agent dies',
    invariant: 'resume-equal',
  },
  {
    name: 'late-command-begun',
    what: 'the agent begins a command past its deadline',
    edits: [
      { file: agentRunner, from: 'if (this.#ports.clock.now() > order.deadline) return', to: 'if (this.#ports.clock.now() < 0) return' },
    ],
    scenario: 'command late',
    invariant: 'cause',
  },
  {
    name: 'replay-not-refused',
    what: 'an envelope that was recorded and sent again is taken',
    edits: [{ file: 'shared/protocol/envelope.ts', from: 'if (head.sequence <= expected.lastSequence) {', to: 'if (head.sequence < 0) {' }],
    scenario: 'everything twice',
    invariant: 'signed-or-refused',
  },
  {
    name: 'egress-unchecked',
    what: 'whatever the agent has in hand leaves the site, and with a failure its text',
    edits: [
      {
        file: egress,
        from: "  if (!parsed.success) throw new FarshoreError('ERR_MESSAGE_INVALID', 'not on the egress allow-list', { cause: parsed.error });\n",
        to: '',
      },
      { file: egress, from: 'const text = JSON.stringify(parsed.data);', to: 'const text = JSON.stringify(message);' },
      {
        file: agentRunner,
        from: 'return { status, code: error.code, logRef };',
        to: 'return { status, code: error.code, logRef, text: error.message } as Outcome;',
      },
    ],
    scenario: 'calls fail',
    invariant: 'metadata-only',
  },
  {
    name: 'drill-network-unchecked',
    what: 'a test copy is connected to whatever network was asked for, and started there',
    edits: [{ file: drill, from: 'if (leadsOut) throw', to: 'if (network === null) throw' }],
    scenario: 'drill on an open network',
    invariant: 'drill-isolated',
  },
  {
    name: 'drill-fails-over',
    what: 'a drill fails the replica over instead of making a test copy of it',
    edits: [{ file: drill, from: 'await context.fabric.startTestFailover(', to: 'await context.fabric.startFailover(' }],
    scenario: 'drill calls fail',
    invariant: 'drill-isolated',
  },
  {
    name: 'drill-network-left',
    what: 'the network that was made for a drill stays when its last copy goes',
    edits: [{ file: drill, from: 'await removeUnusedNetworks(drill, context);', to: '' }],
    scenario: 'drill on its own network',
    invariant: 'drill-network',
  },
];
