/**
 * What happens at a site by itself: primaries send their changes when they are due, replicas grow stale, ordered faults
 * begin. One timer serves all VMs; what is due together for one peer goes out in one batch, unless a machinery carries each for
 * itself. Points are cut at the moment they are due; what a pretended line costs is told by the initial replication only.
 */
import { FarshoreError, toFarshoreError } from '../../../shared/errors.ts';
import type { VmRef } from '../../../shared/ids.ts';
import type { ReplicationState } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { countCycle, missCycle } from './cycle-tally.ts';
import type { SendLast } from './failover-operations.ts';
import { copyMs } from './first-copy-operations.ts';
import type { Operation } from './operation.ts';
import { cmdletClass, failed } from './refusals.ts';
import {
  MAX_POINTS_PER_FRAME,
  type ReplicaSpec,
  type ReplicationAnswer,
  type ReplicationRequest,
  type SentPoint,
} from './replication-frames.ts';
import type { CreateReplica, SendPolicy } from './replication-operations.ts';
import { STALE_AFTER_MS } from './replication-receiver.ts';
import { nextReplication } from './replication-states.ts';
import type { ReplicationPeer, ReplicationTransport } from './replication-transport.ts';
import type { AskToReverse } from './reversal-operations.ts';
import { type VmRecord, writtenBytesAt } from './vm-record.ts';
import type { World } from './world.ts';

const HOUR_MS = 3_600_000;
/** Due times fall on a grid, so that VMs share a wake-up. */
const GRID_MS = 250;
const MAX_PER_TURN = 2_000;

type SiteMessage = Extract<ReplicationRequest, { type: 'machinery' }>['message'];

interface Batch {
  readonly peer: ReplicationPeer;
  readonly points: SentPoint[];
  readonly primaries: VmRecord[];
}

export class ReplicationSender {
  readonly #world: World;
  readonly #transport: ReplicationTransport;
  readonly #settleFaults: () => void;
  /** How often to look whether another process ordered a fault; null: nobody else can. */
  readonly #lookMs: number | null;
  #cancelTimer: () => void = () => {};
  #wakesAt = Number.POSITIVE_INFINITY;
  #isClosed = false;
  /** Primaries whose point has not got its answer yet. */
  readonly #underWay = new Set<string>();

  constructor(world: World, transport: ReplicationTransport, settleFaults: () => void, lookMs: number | null) {
    this.#world = world;
    this.#transport = transport;
    this.#settleFaults = settleFaults;
    this.#lookMs = lookMs;
  }

  /** Sets the timer anew; to be called after every change. */
  wake(): void {
    if (this.#isClosed) return;
    const now = this.#world.clock.now();
    const moments = [this.#world.vms.nextDueAt(), this.#world.faults.nextAt(), this.#lookMs === null ? null : now + this.#lookMs];
    const next = Math.min(...moments.map((moment) => moment ?? Number.POSITIVE_INFINITY));
    if (next >= this.#wakesAt) return;
    this.#cancelTimer();
    this.#wakesAt = next;
    this.#cancelTimer = this.#world.clock.after(Math.max(0, next - now), () => this.#turn());
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
  }

  readonly createReplica: CreateReplica = async (peer, vm: ReplicaSpec, primary, target, policy) => {
    const answer = await this.#request(
      peer,
      {
        type: 'createReplica',
        cloudId: target.cloudId,
        primaryCloudId: primary.cloudId,
        vm,
        policy,
      },
      'enableReplication',
    );
    if (answer.type === 'refused') throw refusedBy(answer, 'enableReplication');
  };

  readonly askToReverse: AskToReverse = async (peer, reversal) => {
    const answer = await this.#request(peer, { type: 'reverse', ...reversal }, 'reverseReplication');
    if (answer.type === 'refused') throw refusedBy(answer, 'reverseReplication');
    if (answer.type !== 'reversed') throw failed('ERR_FABRIC_FAILED', 'reverseReplication', 'The other site gave no answer to that.');
    return answer;
  };

  readonly sendPolicy: SendPolicy = async ({ target, pairingId }, vmId, policy) => {
    const peer = { address: target.address, siteId: target.siteId, pairingId };
    const answer = await this.#request(peer, { type: 'setPolicy', cloudId: target.cloudId, vmId, policy }, 'setReplicationPolicy');
    if (answer.type === 'refused') throw refusedBy(answer, 'setReplicationPolicy');
  };

  /** Everything up to now in one point; a primary that is off writes no more. Ordered faults of sending hold for it too. */
  readonly sendLast: SendLast = async (vm) => {
    const { primary } = vm.replication;
    if (primary === null) throw failed('ERR_WRONG_STATE', 'prepareFailover', `'${vm.name}' is no primary.`);
    if (this.#world.faults.sending(vm.ref, vm.name).isPaused)
      throw failed('ERR_PEER_UNREACHABLE', 'prepareFailover', `The last changes of '${vm.name}' cannot be sent.`);
    const { target, pairingId } = primary;
    const point = this.#pointOf(vm, this.#world.clock.now(), {
      kind: 'crashConsistent',
      isFirst: false,
      isPrepared: true,
      cloudId: target.cloudId,
    });
    const peer = { address: target.address, siteId: target.siteId, pairingId };
    const carried = await this.#carry(vm, point, peer, 'prepareFailover');
    const answer = await this.#request(peer, { type: 'sendPoints', points: [carried] }, 'prepareFailover');
    const refusal = answer.type === 'refused' ? answer : answer.type === 'done' ? answer.refused[0] : undefined;
    if (refusal !== undefined) throw refusedBy(refusal, 'prepareFailover');
    return carried;
  };

  async #carryAll(primaries: readonly VmRecord[], points: readonly SentPoint[], peer: ReplicationPeer): Promise<SentPoint[]> {
    if (this.#world.machinery.carry === undefined) return [...points];
    return Promise.all(
      primaries.flatMap((vm, i) => (points[i] === undefined ? [] : this.#carry(vm, points[i], peer, 'startInitialReplication'))),
    );
  }

  async #carry(vm: VmRecord, point: SentPoint, peer: ReplicationPeer, operation: Operation): Promise<SentPoint> {
    const { machinery } = this.#world;
    if (machinery.carry === undefined) return point;
    return machinery.carry(vm, point, async (message) => {
      const { cloudId, vmId } = point;
      const answer = await this.#request(peer, { type: 'machinery', cloudId, vmId, message: message as SiteMessage }, operation);
      if (answer.type === 'refused') throw refusedBy(answer, operation);
      return answer.type === 'machinery' ? answer.message : null;
    });
  }

  /** `operation` is the one that a failure is told of. */
  async #request(peer: ReplicationPeer, request: ReplicationRequest, operation: Operation): Promise<ReplicationAnswer> {
    if (this.#world.faults.isSiteDark) throw failed('ERR_PEER_UNREACHABLE', operation, 'The site is dark.');
    try {
      return await this.#transport.request(peer, request);
    } catch (cause) {
      const { code, message } = toFarshoreError(cause);
      throw failed(code, operation, message, cause);
    }
  }

  #turn(): void {
    this.#wakesAt = Number.POSITIVE_INFINITY;
    if (this.#isClosed) return;
    this.#settleFaults();
    const batches = this.#world.transaction(() => this.#cut());
    for (const batch of batches) void this.#send(batch);
    this.wake();
  }

  /** Cuts a point of every primary that is due, and gives each its next moment. */
  #cut(): Batch[] {
    const batches = new Map<string, Batch[]>();
    const now = this.#world.clock.now();
    const most = this.#world.machinery.carry === undefined ? MAX_POINTS_PER_FRAME : 1;
    for (const vm of this.#world.vms.due(now, MAX_PER_TURN)) {
      const { primary } = vm.replication;
      const point = primary === null ? this.#ageReplica(vm, now) : this.#cutPoint(vm, now);
      if (primary === null || point === null) continue;
      const peer: ReplicationPeer = { address: primary.target.address, siteId: primary.target.siteId, pairingId: primary.pairingId };
      const key = `${peer.address} ${peer.siteId} ${peer.pairingId}`;
      const open = batches.get(key) ?? [];
      batches.set(key, open);
      let last = open.at(-1);
      if (last === undefined || last.points.length >= most) {
        last = { peer, points: [], primaries: [] };
        open.push(last);
      }
      last.points.push(point);
      last.primaries.push(vm);
    }
    return [...batches.values()].flat();
  }

  #ageReplica(vm: VmRecord, now: number): null {
    const { replica, state } = vm.replication;
    const isStale = replica !== null && state === 'replicating' && now >= replica.lastReceivedAt + STALE_AFTER_MS;
    const dueAt = replica !== null && state === 'replicating' && !isStale ? replica.lastReceivedAt + STALE_AFTER_MS : null;
    this.#world.vms.put({ ...vm, replication: isStale ? { ...vm.replication, health: 'warning' } : vm.replication, dueAt });
    return null;
  }

  #cutPoint(vm: VmRecord, now: number): SentPoint | null {
    const { primary, policy, state, lastPointAt } = vm.replication;
    if (state === 'readyForInitialReplication' && primary?.firstCopyAt != null) return this.#beginFirstCopy(vm, now);
    if (primary === null || policy === null || !sends(state)) {
      this.#world.vms.put({ ...vm, dueAt: null });
      return null;
    }
    const { isPaused, lagMs } = this.#world.faults.sending(vm.ref, vm.name);
    const retryAt = now + Math.min(this.#world.definition.replication.retryAfterMs, policy.copyFrequencySeconds * 1000);
    // Lagging changes are older ones: the state of the disk as it was before.
    const at = now - lagMs;
    const isMissed = isPaused || this.#underWay.has(vm.ref.vmId);
    if (isMissed || (lastPointAt !== null && at <= lastPointAt)) {
      const counted = isMissed ? missCycle(primary, state, now) : primary;
      this.#world.vms.put({
        ...vm,
        replication: { ...vm.replication, health: isPaused ? 'warning' : vm.replication.health, primary: counted },
        dueAt: Math.max(retryAt, now + GRID_MS),
      });
      return null;
    }
    const isFirst = isCopying(state);
    const { applicationConsistentHours: hours } = policy;
    const isApplicationDue =
      hours !== null && (primary.lastApplicationPointAt === null || at >= primary.lastApplicationPointAt + hours * HOUR_MS);
    this.#world.vms.put({ ...vm, dueAt: isFirst ? Math.max(retryAt, now + GRID_MS) : nextCycle(now, policy.copyFrequencySeconds) });
    const kind = isApplicationDue ? 'applicationConsistent' : 'crashConsistent';
    return this.#pointOf(vm, at, { kind, isFirst, isPrepared: false, cloudId: primary.target.cloudId });
  }

  /** Its moment has come; or it was postponed. */
  #beginFirstCopy(vm: VmRecord, now: number): null {
    const { primary } = vm.replication;
    const at = primary?.firstCopyAt ?? now;
    const begun = at <= now ? nextReplication(vm.replication, 'initialReplicationStarted') : null;
    const replication =
      begun === null ? vm.replication : { ...vm.replication, ...begun, primary: primary && { ...primary, firstCopyAt: null } };
    this.#world.vms.put({ ...vm, replication, dueAt: begun === null ? at : now + copyMs(this.#world, vm) });
    return null;
  }

  #pointOf(vm: VmRecord, at: number, rest: Pick<SentPoint, 'kind' | 'isFirst' | 'isPrepared' | 'cloudId'>): SentPoint {
    return { ...rest, vmId: vm.ref.vmId, id: this.#world.random.uuid(), at: Math.floor(at), writtenBytes: writtenBytesAt(vm, at) };
  }

  async #send({ peer, points: cut, primaries }: Batch): Promise<void> {
    let refused: ReadonlySet<string>;
    let points = cut;
    const ids = primaries.map(({ ref }) => ref.vmId);
    for (const id of ids) this.#underWay.add(id);
    try {
      points = await this.#carryAll(primaries, cut, peer);
      const answer = await this.#request(peer, { type: 'sendPoints', points }, 'startInitialReplication');
      if (answer.type !== 'done') throw new FarshoreError('ERR_FABRIC_FAILED', 'the replica server refused the changes');
      refused = new Set(answer.refused.map(({ vmId }) => vmId));
    } catch {
      // Why does not matter here: the primary cannot send, which its health says, and it tries again.
      refused = new Set(ids);
    }
    for (const id of ids) this.#underWay.delete(id);
    if (this.#isClosed) return;
    this.#world.transaction(() => {
      for (const [i, { ref }] of primaries.entries()) {
        const point = points[i];
        if (point !== undefined) this.#settle(ref, point, !refused.has(ref.vmId));
      }
    });
    this.wake();
  }

  /** Writes down what became of a point, if the VM is still the primary that it was. */
  #settle(ref: VmRef, point: SentPoint, isTaken: boolean): void {
    const vm = this.#world.vms.find(ref);
    const { primary, policy, state, lastPointAt } = vm?.replication ?? {};
    if (!vm || !primary || !policy || !state || !sends(state) || vm.power === 'critical') return;
    const now = this.#world.clock.now();
    const counted = countCycle(primary, state, point, isTaken ? now : null);
    if (!isTaken) {
      const retryAt = Math.ceil((now + Math.max(this.#world.definition.replication.retryAfterMs, GRID_MS)) / GRID_MS) * GRID_MS;
      const cycle = nextCycle(now, policy.copyFrequencySeconds);
      // One that was exported is refused until the other side has taken the folder in, which may take days.
      const isCarried = state === 'waitingForInitialReplication';
      this.#world.vms.put({
        ...vm,
        replication: { ...vm.replication, health: isCarried ? 'warning' : 'critical', primary: counted },
        dueAt: isCarried ? cycle : Math.min(retryAt, cycle),
      });
      return;
    }
    const arrived = state === 'waitingForInitialReplication' ? 'initialReplicationConfirmed' : null;
    const event = point.isFirst && isCopying(state) ? copied[state] : arrived;
    const begun = event === null ? null : nextReplication(vm.replication, event);
    this.#world.vms.put({
      ...vm,
      replication: {
        ...vm.replication,
        ...begun,
        health: 'normal',
        lastPointAt: Math.max(lastPointAt ?? 0, point.at),
        primary: {
          ...counted,
          confirmedBytes: Math.max(primary.confirmedBytes, point.writtenBytes),
          lastApplicationPointAt: point.kind === 'applicationConsistent' ? point.at : primary.lastApplicationPointAt,
        },
      },
      dueAt: nextCycle(now, policy.copyFrequencySeconds),
    });
  }
}

/** States in which everything, or every difference, is on its way. */
const copied = { initialReplicationInProgress: 'initialReplicationConfirmed', resynchronizing: 'resynchronized' } as const;
const isCopying = (state: ReplicationState): state is keyof typeof copied => state in copied;

/** One that was exported sends what was written since, as soon as the other side takes it. */
const sends = (state: ReplicationState): boolean => state === 'replicating' || state === 'waitingForInitialReplication' || isCopying(state);

function nextCycle(now: number, seconds: number): number {
  return Math.ceil((now + seconds * 1000) / GRID_MS) * GRID_MS;
}

function refusedBy({ code, errorId, message }: Pick<FabricError, 'code' | 'errorId' | 'message'>, operation: Operation): FabricError {
  return new FabricError(code, errorId, cmdletClass(operation), message);
}
