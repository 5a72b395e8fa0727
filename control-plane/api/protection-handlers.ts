/** Handlers: pairings and protected VMs. What was promised and what was observed stand side by side; nothing is mixed. */

import type { PairingAnswer, ProtectedVmAnswer } from '../../shared/api/protection.ts';
import type { recoveryRoutes } from '../../shared/api/recovery-routes.ts';
import type { Observation } from '../../shared/api/sites.ts';
import { AGENT_AWAY, issuesOf, SITE_KNOWS_MORE, type VmIssue, vmIssues, windowIssue } from '../../shared/domain/health.ts';
import { allowedOperations, otherSide, whyNot } from '../../shared/domain/protected-vm.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { VaultId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { sidesOf } from '../operations/compile.ts';
import type { CloudRef, Pairing, ProtectedVm } from '../store/promise-store.ts';
import type { VmObservation } from '../store/store.ts';
import { settingsBehind, wantedSettings } from '../store/vm-settings.ts';
import type { ApiPorts, Handlers } from './handler.ts';
import { observationAnswer, readLastHeard } from './observation.ts';
import { readNames, type VaultNames } from './vault-names.ts';

type Ids = 'listPairings' | 'getPairing' | 'listProtectedVms' | 'getProtectedVm' | 'listRecoveryPoints';

export function protectionHandlers({ store, operations, presence, looks, clock }: ApiPorts): Handlers<Ids & keyof typeof recoveryRoutes> {
  return {
    async listPairings({ caller }) {
      const names = await readNames(store, caller.vaultId);
      return { pairings: (await store.promises.pairings(caller.vaultId)).map((pairing) => pairingAnswer(pairing, names)) };
    },

    async getPairing({ caller, params }) {
      const pairing = await store.promises.findPairing(caller.vaultId, params.pairingId);
      if (pairing === null) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such pairing');
      return pairingAnswer(pairing, await readNames(store, caller.vaultId));
    },

    async listProtectedVms({ caller, query }) {
      const where = query.pairing === undefined ? {} : { pairingId: query.pairing };
      const vms = await store.promises.protectedVms(caller.vaultId, where);
      const answers = await vmAnswers(caller.vaultId, vms);
      return { protectedVms: answers.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })) };
    },

    async getProtectedVm({ caller, params }) {
      const vms = await store.promises.protectedVms(caller.vaultId, { ids: [params.protectedVmId] });
      const [answer] = await vmAnswers(caller.vaultId, vms);
      if (answer === undefined) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such protected VM');
      return answer;
    },

    async listRecoveryPoints({ caller, params }) {
      const { vaultId } = caller;
      const [vm] = await store.promises.protectedVms(vaultId, { ids: [params.protectedVmId] });
      const pairing = vm && (await store.promises.findPairing(vaultId, vm.pairingId));
      if (!vm || !pairing) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such protected VM');
      const { siteId, ref } = sidesOf({ vm, pairing }).target;
      const points = await looks.recoveryPoints(siteId, ref);
      const now = clock.now();
      return {
        siteId,
        siteName: (await readNames(store, vaultId)).site(siteId),
        askedAt: isoMoment(now),
        recoveryPoints: points
          .map((point) => ({ ...point, ageSeconds: Math.max(0, Math.floor((now - Date.parse(point.at)) / 1000)) }))
          .sort((a, b) => a.ageSeconds - b.ageSeconds),
      };
    },
  };

  async function vmAnswers(vaultId: VaultId, vms: readonly ProtectedVm[]): Promise<ProtectedVmAnswer[]> {
    const names = await readNames(store, vaultId);
    const lastHeard = await readLastHeard(store, presence, vaultId);
    const pairings = new Map((await store.promises.pairings(vaultId)).map((pairing) => [pairing.id, pairing]));
    const wantedOf = new Map([...pairings].map(([id, pairing]) => [id, wantedSettings(pairing)]));
    // All of them in one reading: one by one would cost a query for each VM.
    const wanted = vms.length === 1 ? { vmIds: vms.map(({ vmId }) => vmId) } : {};
    const seen = new Map((await store.observations.vms(vaultId, wanted)).map((one) => [placeOf(one), one]));
    const at = clock.now();
    const observed = (vm: ProtectedVm, end: CloudRef | undefined) => {
      const found = end && seen.get(`${end.siteId}/${end.cloudId}/${vm.vmId}`);
      return found === undefined ? null : observationAnswer(found, names, lastHeard, at);
    };
    // An alarm wants to be sure: a site that went dark a moment ago is still shown as it was, and may be off since.
    const seenNow = (seen: Observation | null) => (seen !== null && presence.isConnected(seen.siteId) ? seen : null);
    return vms.map((vm) => {
      const pairing = pairings.get(vm.pairingId);
      const { id, vmId, name, phase, activeLocation, replicatesFrom, epoch, busyWith, drill } = vm;
      const primary = observed(vm, pairing?.primary);
      const recovery = observed(vm, pairing?.recovery);
      const now = { primary: seenNow(primary), recovery: seenNow(recovery) };
      const power = { primary: now.primary?.power ?? null, recovery: now.recovery?.power ?? null };
      const sending = now[replicatesFrom]?.replication.state ?? null;
      const firstCopyAt = now[replicatesFrom]?.firstCopyAt ?? null;
      const receiving = now[otherSide(replicatesFrom)]?.replication.state ?? null;
      const wanted = wantedOf.get(vm.pairingId);
      const isBehind = wanted !== undefined && settingsBehind(vm, wanted).length > 0;
      return {
        id,
        vmId,
        name,
        pairing: { id: vm.pairingId, name: pairing?.name ?? '' },
        phase,
        activeLocation,
        replicatesFrom,
        epoch,
        busyWith,
        drill,
        takesItselfBackAt: vm.commitWindow?.lapsed === null ? isoMoment(vm.commitWindow.endsAt) : null,
        createdAt: isoMoment(vm.createdAt),
        allowedOperations: allowedOperations(vm),
        issues: [
          ...issuesOf({
            phase,
            activeLocation,
            power,
            sending,
            firstCopyAt,
            receiving,
            isBehind,
            isNewerAtSite: operations.isNewerAtASite(vaultId, vmId),
          }).map((issue) => issueAnswer(issue, firstCopyAt)),
          ...windowIssues(vm, pairing, at),
        ],
        primary,
        recovery,
      };
    });
  }

  function windowIssues(vm: ProtectedVm, pairing: Pairing | undefined, now: number): ProtectedVmAnswer['issues'] {
    const { commitWindow, phase } = vm;
    if (commitWindow === null || commitWindow.endsAt > now) return [];
    const isAway = pairing !== undefined && ![pairing.primary, pairing.recovery].every(({ siteId }) => presence.isConnected(siteId));
    // On its way back, or to another recovery point.
    const isNewer = operations.isNewerAtASite(vm.vaultId, vm.vmId);
    const reason = phase === 'failedOver' ? whyNot(vm, 'takeBack') || (isAway ? AGENT_AWAY : isNewer ? SITE_KNOWS_MORE : '') : '';
    const found = windowIssue({ lapsed: commitWindow.lapsed, reason });
    if (found === null) return [];
    const { cause, remedy } = vmIssues[found.issue];
    return [{ issue: found.issue, cause: `${cause} Reason: ${found.why}.`, remedy }];
  }
}

function placeOf({ siteId, report }: VmObservation): string {
  return `${siteId}/${report.ref.cloudId}/${report.ref.vmId}`;
}

function pairingAnswer(pairing: Pairing, names: VaultNames): PairingAnswer {
  const { id, name, state, primary, recovery, policy } = pairing;
  const end = (ref: CloudRef) => ({ ...ref, siteName: names.site(ref.siteId), cloudName: names.cloud(ref) });
  return {
    id,
    name,
    state,
    primary: end(primary),
    recovery: end(recovery),
    policy,
    networks: pairing.networks.map(({ from, to }) => ({
      from: { id: from, name: names.network(primary.siteId, from) },
      to: { id: to, name: names.network(recovery.siteId, to) },
    })),
    createdAt: isoMoment(pairing.createdAt),
  };
}

function issueAnswer(issue: VmIssue, firstCopyAt: string | null): ProtectedVmAnswer['issues'][number] {
  const { cause, remedy } = vmIssues[issue];
  return { issue, cause: issue === 'firstCopyScheduled' ? `${cause} Begins at ${firstCopyAt}.` : cause, remedy };
}
