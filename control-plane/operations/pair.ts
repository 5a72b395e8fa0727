/** Pair two clouds: each site gets an authority for its hosts' certificates, then the hosts of both are configured for each other. */
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import { PairingId, StepId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { CloudRef, Pairing } from '../store/promise-store.ts';
import type { Store } from '../store/store.ts';
import { type Compile, type CompilePorts, refuseUnlessConnected } from './compile.ts';
import type { Actor } from './operations.ts';

const BEGIN_WITHIN_SECONDS = 300;

export const compilePair: Compile<'pair'> = async (request, actor, ports) => {
  await refuseUnknown(request, actor, ports.store);
  await refuseUnlessConnected([request.primary.siteId, request.recovery.siteId], actor, ports);
  const pairing: Pairing = {
    id: PairingId.parse(ports.random.uuid()),
    vaultId: actor.vaultId,
    name: request.name,
    primary: request.primary,
    recovery: request.recovery,
    policy: request.policy,
    networks: request.networks,
    state: 'pairing',
    replicaAddresses: { primary: null, recovery: null },
    createdAt: ports.clock.now(),
  };
  return {
    target: pairing.name,
    input: { pairing: pairing.id },
    graph: { steps: pairingSteps(pairing, ports) },
    claims: [],
    newVms: [],
    newPairing: pairing,
  };
};

/** The steps whose results tell where each side receives replicas. */
export const PREPARE = { primary: StepId.parse('prepare/primary'), recovery: StepId.parse('prepare/recovery') };

function pairingSteps(pairing: Pairing, { replication }: CompilePorts): Step<StepWork>[] {
  const common = { epoch: 0, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const sides = [
    { role: 'recovery', here: pairing.recovery, peer: pairing.primary },
    { role: 'primary', here: pairing.primary, peer: pairing.recovery },
  ] as const;
  const step = { after: [], scope: 'pairing', attempts: 3 };
  return sides.flatMap(({ role, here, peer }): Step<StepWork>[] => {
    const authority = StepId.parse(`authority/${role}`);
    const at = { ...common, siteId: here.siteId };
    const hosts = { pairingId: pairing.id, cloudId: here.cloudId };
    return [
      {
        ...step,
        id: authority,
        title: `make the replication authority of the ${role} site`,
        work: { ...at, kind: 'hosts.requestAuthority', args: { pairingId: pairing.id } },
        needs: [],
      },
      {
        ...step,
        id: PREPARE[role],
        title: `prepare the hosts of the ${role} cloud`,
        work: {
          ...at,
          kind: 'hosts.prepare',
          args: {
            ...hosts,
            authentication: pairing.policy.authentication,
            port: pairing.policy.port,
            root: replication.rootPem,
            peer,
          },
          from: { authority },
        },
        undo: { ...at, kind: 'hosts.release', args: hosts },
        needs: [authority],
      },
    ];
  });
}

/** Throws ERR_NOT_FOUND with everything that the request names and no site has reported. */
async function refuseUnknown(request: Parameters<Compile<'pair'>>[0], { vaultId }: Actor, store: Store): Promise<void> {
  const clouds = await store.observations.clouds(vaultId);
  const problems: Problem[] = [];
  const expectCloud = (field: string, ref: CloudRef) => {
    const isKnown = clouds.some((cloud) => cloud.siteId === ref.siteId && cloud.id === ref.cloudId);
    if (!isKnown) problems.push({ field, message: 'no site has reported this cloud' });
  };
  expectCloud('primary', request.primary);
  expectCloud('recovery', request.recovery);
  if (request.primary.siteId === request.recovery.siteId && request.primary.cloudId === request.recovery.cloudId) {
    problems.push({ field: 'recovery', message: 'a cloud cannot be paired with itself' });
  }
  problems.push(...(await unknownNetworks(request, { vaultId }, store)));
  if (problems.length > 0) throw new FarshoreError('ERR_NOT_FOUND', 'the pairing names what is not there', { problems });
}

/** Entries of a network map that name what neither site has reported. */
export async function unknownNetworks(
  { primary, recovery, networks }: Pick<Pairing, 'primary' | 'recovery' | 'networks'>,
  { vaultId }: Pick<Actor, 'vaultId'>,
  store: Store,
): Promise<Problem[]> {
  const known = await store.observations.networks(vaultId);
  const isKnown = (id: string, { siteId }: CloudRef) => known.some((network) => network.siteId === siteId && network.id === id);
  const message = 'the site has not reported this VM network';
  return networks.flatMap(({ from, to }, index): Problem[] => [
    ...(isKnown(from, primary) ? [] : [{ field: `networks[${index}].from`, message }]),
    ...(isKnown(to, recovery) ? [] : [{ field: `networks[${index}].to`, message }]),
  ]);
}
