/**
 * The fabric as the agent uses it: every call has a time limit, only so many run at once, and none outlives the
 * agent. The limit is on calls, not on commands, so a command that waits for hours holds nobody up.
 */
import { FarshoreError } from '../../shared/errors.ts';
import { Slots } from '../../shared/lanes.ts';
import type { Clock } from '../../shared/ports.ts';
import type { Act, Fabric } from '../fabric/fabric.ts';
import type { Lifeline } from './lifeline.ts';

export interface FabricCallPorts {
  readonly fabric: Fabric;
  readonly clock: Clock;
  readonly life: Lifeline;
  readonly limitMs: number;
  readonly atOnce: number;
}

export class FabricCalls {
  readonly #ports: FabricCallPorts;
  readonly #slots: Slots;

  constructor(ports: FabricCallPorts) {
    this.#ports = ports;
    this.#slots = new Slots(ports.atOnce);
  }

  /** The fabric within its limits; `mayAct` is asked before every mutation and throws where none is allowed. */
  limited(mayAct: () => void): Fabric {
    const { fabric } = this.#ports;
    const read = <T>(call: () => Promise<T>) => this.#call(call);
    const change = <T>(act: Act, call: (act: Act) => Promise<T>) =>
      this.#call((signal) => {
        mayAct();
        return call({ ...act, signal });
      });
    return {
      readInventory: (cursor) => read(() => fabric.readInventory(cursor)),
      findVm: (ref) => read(() => fabric.findVm(ref)),
      recoveryPoints: (ref) => read(() => fabric.recoveryPoints(ref)),
      hostOf: (ref) => read(() => fabric.hostOf(ref)),
      addressesOf: (ref) => read(() => fabric.addressesOf(ref)),
      guestAnswers: (ref) => read(() => fabric.guestAnswers(ref)),
      findTestCopy: (ref) => read(() => fabric.findTestCopy(ref)),
      networkExposure: (id) => read(() => fabric.networkExposure(id)),
      drillNetworks: () => read(() => fabric.drillNetworks()),
      replicationHosts: (cloudId) => read(() => fabric.replicationHosts(cloudId)),
      prepareHosts: (preparation, act) => change(act, (a) => fabric.prepareHosts(preparation, a)),
      releaseHosts: (pairingId, cloudId, act) => change(act, (a) => fabric.releaseHosts(pairingId, cloudId, a)),
      enableReplication: (ref, target, policy, act) => change(act, (a) => fabric.enableReplication(ref, target, policy, a)),
      startInitialReplication: (ref, firstCopy, act) => change(act, (a) => fabric.startInitialReplication(ref, firstCopy, a)),
      importInitialReplication: (ref, folder, act) => change(act, (a) => fabric.importInitialReplication(ref, folder, a)),
      configureReplica: (ref, networks, act) => change(act, (a) => fabric.configureReplica(ref, networks, a)),
      setReplicationPolicy: (ref, policy, act) => change(act, (a) => fabric.setReplicationPolicy(ref, policy, a)),
      removeReplication: (ref, act) => change(act, (a) => fabric.removeReplication(ref, a)),
      deleteVm: (ref, act) => change(act, (a) => fabric.deleteVm(ref, a)),
      prepareFailover: (ref, act) => change(act, (a) => fabric.prepareFailover(ref, a)),
      startFailover: (ref, pointId, act) => change(act, (a) => fabric.startFailover(ref, pointId, a)),
      stopFailover: (ref, act) => change(act, (a) => fabric.stopFailover(ref, a)),
      completeFailover: (ref, act) => change(act, (a) => fabric.completeFailover(ref, a)),
      becomeReplica: (ref, act) => change(act, (a) => fabric.becomeReplica(ref, a)),
      reverseReplication: (ref, target, policy, act) => change(act, (a) => fabric.reverseReplication(ref, target, policy, a)),
      suspendReplication: (ref, act) => change(act, (a) => fabric.suspendReplication(ref, a)),
      resumeReplication: (ref, act) => change(act, (a) => fabric.resumeReplication(ref, a)),
      resynchronize: (ref, act) => change(act, (a) => fabric.resynchronize(ref, a)),
      startTestFailover: (ref, pointId, act) => change(act, (a) => fabric.startTestFailover(ref, pointId, a)),
      makeDrillNetwork: (drill, like, act) => change(act, (a) => fabric.makeDrillNetwork(drill, like, a)),
      removeDrillNetwork: (drill, act) => change(act, (a) => fabric.removeDrillNetwork(drill, a)),
      connectTestCopy: (ref, networkId, act) => change(act, (a) => fabric.connectTestCopy(ref, networkId, a)),
      startTestVm: (ref, act) => change(act, (a) => fabric.startTestVm(ref, a)),
      stopTestFailover: (ref, act) => change(act, (a) => fabric.stopTestFailover(ref, a)),
      stopVm: (ref, act) => change(act, (a) => fabric.stopVm(ref, a)),
      startVm: (ref, act) => change(act, (a) => fabric.startVm(ref, a)),
      writeEpoch: (ref, epoch, act) => change(act, (a) => fabric.writeEpoch(ref, epoch, a)),
      close: () => fabric.close(),
    };
  }

  #call<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#ports.life.hold(() => this.#slots.run(() => this.#withinLimit(call)));
  }

  async #withinLimit<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, life, limitMs } = this.#ports;
    if (life.isCut) return new Promise(() => {});
    const hung = new AbortController();
    const { promise: timedOut, reject } = Promise.withResolvers<never>();
    const cancel = clock.after(limitMs, () => {
      const error = new FarshoreError('ERR_FABRIC_TIMEOUT', `the fabric did not answer within ${limitMs / 1000} s`);
      hung.abort(error);
      reject(error);
    });
    try {
      return await Promise.race([call(hung.signal), timedOut]);
    } finally {
      cancel();
    }
  }
}
