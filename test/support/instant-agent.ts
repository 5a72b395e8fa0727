/**
 * The far end of a session whose site does everything at once: it answers each command in the turn it came, over the same texts as a
 * real agent. What is left of the time of a run is the control plane's own.
 */
import type { Hub } from '../../control-plane/channel/hub.ts';
import { closeCodes } from '../../control-plane/channel/link.ts';
import type { AdmittedAgent } from '../../control-plane/channel/session.ts';
import type { CommandId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { CommandKind } from '../../shared/protocol/commands.ts';
import { type AgentMessage, encodeEgress, type Outcome } from '../../shared/protocol/egress.ts';
import { limits } from '../../shared/protocol/limits.ts';
import { readCloudMessage } from '../../shared/protocol/messages.ts';

type Finished = Extract<AgentMessage, { type: 'command.finished' }>['finished'][number];

export function joinInstantAgent(hub: Hub, agent: AdmittedAgent): void {
  const say = (message: AgentMessage) => setImmediate(() => events.received(encodeEgress(message)));
  const events = hub.join(agent, {
    send(text) {
      const message = readCloudMessage(text);
      if (message.type !== 'commands') return;
      const finished = message.envelopes.map(({ body }) => finish(JSON.parse(body)));
      for (let first = 0; first < finished.length; first += limits.vmsPerMessage) {
        say({ type: 'command.finished', finished: finished.slice(first, first + limits.vmsPerMessage) });
      }
    },
    ping: () => events.heard(),
    waitingBytes: 0,
    close: (code, reason) => {
      if (code !== closeCodes.goingAway) throw new Error(`the session was closed: ${reason}`);
    },
  });
  say({ type: 'hello', protocol: 1, agentId: agent.agentId, agentVersion: 'bench', lastSequence: 0, inventoryDigest: null });
}

const moment = isoMoment(1_764_000_000_000);

function finish({ commandId, kind }: { commandId: CommandId; kind: CommandKind }): Finished {
  const outcome: Outcome =
    kind === 'vm.start'
      ? { status: 'done', kind, result: { runningAt: moment, answeredAt: null } }
      : { status: 'done', kind: 'failover.execute', result: { recoveryPointId: 'latest', recoveryPointAt: moment } };
  return { commandId, at: moment, outcome };
}
