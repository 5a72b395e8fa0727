/** Handler: what replicates at the sites without us, and which pairing could adopt it. */
import type { AdoptableVmAnswer, adoptionRoutes } from '../../shared/api/adoption.ts';
import { findCandidates } from '../../shared/domain/adoption.ts';
import { seenVm } from '../operations/adopt.ts';
import type { VmObservation } from '../store/store.ts';
import type { ApiPorts, Handlers } from './handler.ts';
import { observationAnswer, readLastHeard } from './observation.ts';
import { readNames } from './vault-names.ts';

export function adoptionHandlers({ store, presence, clock }: ApiPorts): Handlers<keyof typeof adoptionRoutes> {
  return {
    async listAdoptableVms({ caller: { vaultId } }) {
      const [names, lastHeard] = [await readNames(store, vaultId), await readLastHeard(store, presence, vaultId)];
      const isProtected = new Set((await store.promises.protectedVms(vaultId)).map(({ vmId }) => vmId));
      const pairings = (await store.promises.pairings(vaultId)).filter(({ state }) => state === 'paired');
      const seen = (await store.observations.vms(vaultId)).filter(({ report }) => !isProtected.has(report.ref.vmId));
      const told = (observation: VmObservation) => observationAnswer(observation, names, lastHeard, clock.now());
      const withReport = seen.map((observation) => ({ ...seenVm(observation), observation }));
      const adoptableVms = findCandidates(withReport, pairings).map(
        ({ primary, replica, pairing, replicatesFrom, differences, obstacle }): AdoptableVmAnswer => ({
          vmId: primary.vmId,
          name: primary.name,
          pairing: pairing && { id: pairing.id, name: pairing.name },
          replicatesFrom,
          primary: told(primary.observation),
          replica: replica && told(replica.observation),
          differences: [...differences],
          isAdoptable: obstacle === '',
          obstacle,
        }),
      );
      return { adoptableVms: adoptableVms.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })) };
    },
  };
}
