/**
 * The control plane without its surroundings: operations and the hub over ports. `run-server.ts` gives it the system and two
 * listeners, a test world its own clock and wires, so both run the same one. It joins the two rooms that do not know each other.
 */
import type { VaultId } from '../shared/ids.ts';
import type { Clock, Log, Random } from '../shared/ports.ts';
import type { Signer } from '../shared/protocol/envelope.ts';
import { Hub } from './channel/hub.ts';
import type { ReplicationAuthority } from './operations/compile.ts';
import type { Presence } from './operations/operations.ts';
import { RuleKeeper } from './operations/rule-keeper.ts';
import { OperationRunner } from './operations/runner.ts';
import { SettingsKeeper, type SettingsKeeperPorts } from './operations/settings-keeper.ts';
import type { Bell } from './store/bell.ts';
import type { Store } from './store/store.ts';

export interface ControlPlanePorts {
  readonly store: Store;
  readonly bell: Bell;
  readonly replication: ReplicationAuthority;
  /** The issuer key of a vault. */
  readonly signerOf: (vaultId: VaultId) => Signer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Calls back after the present turn of the event loop. */
  readonly defer: (callback: () => void) => void;
  readonly heartbeatSeconds?: number;
}

export interface ControlPlaneCore {
  readonly hub: Hub;
  readonly operations: OperationRunner;
  /** Goes on with every job that has not ended; to be called before the first agent is let in. */
  resume(): Promise<void>;
  /** Stops deciding and hangs up. What is under way at the sites goes on there. */
  stop(): void;
}

/** What looks by itself for something to do. */
export function makeKeepers(ports: SettingsKeeperPorts) {
  return [new RuleKeeper(ports), new SettingsKeeper(ports)];
}

export function makeControlPlaneCore(ports: ControlPlanePorts): ControlPlaneCore {
  const { store, bell, replication, clock, random, log } = ports;
  const presence: Presence = {
    isConnected: (siteId) => hub.isConnected(siteId),
    lastHeardAt: (siteId) => hub.lastHeardAt(siteId),
    scriptsOf: (siteId) => hub.scriptsOf(siteId),
  };
  const operations = new OperationRunner({
    store,
    bell,
    replication,
    clock,
    random,
    log,
    dispatcher: { send: (siteId, commands) => hub.send(siteId, commands) },
    presence,
    looks: { lookAt: (siteId, vm) => hub.lookAt(siteId, vm) },
  });
  const hub = new Hub({ ...ports, work: operations });
  const keepers = makeKeepers({ store, bell, presence, operations, clock, random, log });
  return {
    hub,
    operations,
    async resume() {
      await operations.resume();
      for (const keeper of keepers) await keeper.begin();
    },
    stop() {
      for (const keeper of keepers) keeper.stop();
      operations.stop();
      hub.close();
    },
  };
}
