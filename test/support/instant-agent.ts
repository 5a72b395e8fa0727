/**
 * The far end of a session whose site takes as long for a command as it is told: no time at all, or a time of its own for each. It
 * speaks the same texts as a real agent. What is left of the time of a run is the control plane's own.
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

export interface CommandSeen {
  readonly commandId: CommandId;
  readonly kind: CommandKind;
}

export interface SiteTimes {
  /** How long the command takes; at once when not said. */
  readonly millisecondsOf?: (command: CommandSeen) => number;
  /** Whether it fails for now, so that it is tried again. */
  readonly fails?: (command: CommandSeen) => boolean;
}

export function joinInstantAgent(hub: Hub, agent: AdmittedAgent, { millisecondsOf, fails = () => false }: SiteTimes = {}): void {
  const say = (message: AgentMessage) => setImmediate(() => events.received(encodeEgress(message)));
  const tell = (finished: readonly Finished[]) => {
    for (let first = 0; first < finished.length; first += limits.vmsPerMessage) {
      say({ type: 'command.finished', finished: finished.slice(first, first + limits.vmsPerMessage) });
    }
  };
  /** What ends in the same turn is told together, as the real agent does. */
  let ended: Finished[] = [];
  const endLater = (command: CommandSeen, milliseconds: number) =>
    setTimeout(() => {
      if (ended.push(finish(command, fails(command))) > 1) return;
      setImmediate(() => {
        tell(ended);
        ended = [];
      });
    }, milliseconds);
  const events = hub.join(agent, {
    send(text) {
      const message = readCloudMessage(text);
      if (message.type !== 'commands') return;
      const commands = message.envelopes.map(({ body }): CommandSeen => JSON.parse(body));
      if (millisecondsOf) for (const command of commands) endLater(command, millisecondsOf(command));
      else tell(commands.map((command) => finish(command, fails(command))));
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

/** How the site ends a command. */
export function finish({ commandId, kind }: CommandSeen, isFailure: boolean): Finished & { readonly outcome: Outcome } {
  const failed = { status: 'failed', code: 'ERR_FABRIC_FAILED', logRef: '' } as const;
  const outcome: Outcome =
    kind === 'vm.start'
      ? { status: 'done', kind, result: { runningAt: moment, answeredAt: null } }
      : { status: 'done', kind: 'failover.execute', result: { recoveryPointId: 'latest', recoveryPointAt: moment } };
  return { commandId, at: moment, outcome: isFailure ? failed : outcome };
}
