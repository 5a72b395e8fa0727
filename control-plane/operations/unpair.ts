/**
 * Remove a pairing that nothing stands on: the hosts of both clouds are released from it, and keep what another pairing of theirs
 * needs. What has begun is not taken back: a failure waits for a person.
 *
 * Forced, it waits for nobody: the step of a side that is away stays open, which tells what is left there. It is done when the side
 * is back, or the side is given up and a person cleans its hosts; then the pairing is gone.
 */
import { namesMeant } from '../../shared/domain/plan-members.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import { StepId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Pairing } from '../store/promise-store.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, type CompilePorts, LEFT_WITHIN_SECONDS, refuseUnlessConnected } from './compile.ts';
import type { Actor } from './operations.ts';

export const compileUnpair: Compile<'unpair'> = async (request, actor, ports) => {
  const pairing = await ports.store.promises.findPairing(actor.vaultId, request.pairing);
  if (!pairing) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such pairing');
  await refuseWhilePlanned(pairing, actor, ports);
  if (!request.forced) await refuseUnlessConnected([pairing.primary.siteId, pairing.recovery.siteId], actor, ports);
  return {
    target: pairing.name,
    input: { pairing: pairing.id, forced: request.forced ?? null },
    graph: { steps: (['recovery', 'primary'] as const).map((side) => releaseStep(side, pairing, ports)) },
    claims: [],
    newVms: [],
    endedPairing: pairing.id,
  };
};

/** Throws ERR_CONFLICT with every VM in the pairing and every plan that names one. All else is looked at when the job is opened. */
async function refuseWhilePlanned({ id, name }: Pairing, { vaultId }: Actor, { store }: CompilePorts): Promise<void> {
  const vms = await store.promises.protectedVms(vaultId, { pairingId: id });
  if (vms.length === 0) return;
  const plans = (await store.wishes.plans(vaultId)).map(({ name: plan, document }) => ({ plan, meant: new Set(namesMeant(document)) }));
  const problems = vms.map((vm): Problem => {
    const naming = plans.filter(({ meant }) => meant.has(vm.name) || meant.has(vm.id)).map(({ plan }) => plan);
    return { field: vm.name, message: `is protected in it${naming.length > 0 ? `, and named in ${naming.join(', ')}` : ''}` };
  });
  throw new FarshoreError('ERR_CONFLICT', `the pairing ${name} is in use`, { problems });
}

function releaseStep(side: 'primary' | 'recovery', pairing: Pairing, { presence }: CompilePorts): Step<StepWork> {
  const { siteId, cloudId } = pairing[side];
  return {
    id: StepId.parse(`release/${side}`),
    title: `release the hosts of the ${side} cloud`,
    work: {
      siteId,
      epoch: 0,
      beginWithinSeconds: presence.isConnected(siteId) ? BEGIN_WITHIN_SECONDS : LEFT_WITHIN_SECONDS,
      kind: 'hosts.release',
      args: { pairingId: pairing.id, cloudId },
    },
    needs: [],
    after: [],
    scope: 'pairing',
    pivot: true,
    attempts: 3,
  };
}
