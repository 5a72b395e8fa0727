/** The look at both ends of a VM that replicates already, before it is adopted: nothing is changed by it. */
import { isDeepStrictEqual } from 'node:util';
import { FarshoreError } from '../../shared/errors.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Handlers } from './handlers.ts';
import { findExisting, wrongState } from './reach.ts';

export const adoptionHandlers: Pick<Handlers, 'replication.admitAdoption'> = {
  async 'replication.admitAdoption'({ vm: ref, role, settings, pointAt }, context) {
    const vm = await findExisting(ref, context);
    const { mode, state, lastPointAt, settings: found } = vm.replication;
    if (mode !== role || state !== 'replicating') throw wrongState(vm, `only a ${role} that replicates is adopted`);
    // A person accepted what was reported; what was changed since nobody has seen.
    if (settings !== null && !isDeepStrictEqual(settings, found))
      throw new FarshoreError('ERR_SETTINGS_DIFFER', 'the settings of the replication were changed since they were reported');
    if (pointAt !== null && (lastPointAt === null || lastPointAt < Date.parse(pointAt)))
      throw new FarshoreError('ERR_NOT_A_PAIR', `the primary has sent a point of ${pointAt}, and the replica does not hold it`);
    return { pointAt: lastPointAt === null ? null : isoMoment(lastPointAt) };
  },
};
