/**
 * Adopt VMs that replicate by Hyper-V Replica already, as those do whom Hyper-V Recovery Manager left: both ends are looked at,
 * the replica gets the networks and addresses of the pairing, and the VM is protected at once, with the recovery points it
 * has. Nothing is copied anew. What differs from the policy is listed first; a person says whether it is kept or changed.
 */
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import { type Candidate, findCandidates, type SeenVm } from '../../shared/domain/adoption.ts';
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { type ActiveLocation, otherSide } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import { ProtectedVmId } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { NewJob } from '../store/job-store.ts';
import type { Pairing } from '../store/promise-store.ts';
import type { VmObservation } from '../store/store.ts';
import { noSettings, wantedSettings } from '../store/vm-settings.ts';
import {
  BEGIN_WITHIN_SECONDS,
  type Compile,
  type CompilePorts,
  pairedPairing,
  refuseUnlessConnected,
  refuseWhatIsStillEnded,
} from './compile.ts';
import { firstEpochs } from './first-epochs.ts';
import type { Actor } from './operations.ts';

type Request = OperationRequestOf<'adopt'>;

export const compileAdopt: Compile<'adopt'> = async (request, actor, ports) => {
  const pairing = await pairedPairing(request.pairing, actor, ports);
  await refuseUnlessConnected([pairing.primary.siteId, pairing.recovery.siteId], actor, ports);
  await refuseWhatIsStillEnded(request.vms, actor, ports);
  const epochOf = await firstEpochs(actor.vaultId, request.vms, ports.store);
  const candidates = await chosen(request, pairing, actor, ports);
  const bring = request.differences?.do === 'bringToPolicy';
  const adoptions = candidates.map((candidate) => adoptionOf(candidate, epochOf(candidate.primary.vmId), pairing, bring, ports));
  const [first] = adoptions;
  return {
    target: adoptions.length === 1 && first ? first.vm.name : `${adoptions.length} VMs of ${pairing.name}`,
    input: {
      pairing: pairing.id,
      vms: adoptions.map(({ vm }) => ({ vm: vm.id, name: vm.name })),
      differences: request.differences ?? null,
      differing: adoptions.flatMap(({ vm, differences }) => differences.map((difference) => ({ vm: vm.name, ...difference }))),
    },
    graph: { steps: adoptions.flatMap((adoption) => adoptionSteps(adoption, pairing, bring)) },
    claims: [],
    newVms: adoptions.map(({ vm }) => vm),
  };
};

export function seenVm({ siteId, report }: VmObservation): SeenVm {
  const { ref, name, replication } = report;
  // A report from before settings were told has none, whatever its type says.
  return { siteId, ...ref, name, mode: replication.mode, state: replication.state, settings: replication.settings ?? null };
}

type Chosen = Candidate<SeenVm, Pairing>;

/** Throws with every VM that cannot be adopted, and with every difference that was not accepted. */
async function chosen(request: Request, pairing: Pairing, { vaultId }: Actor, { store }: CompilePorts): Promise<Chosen[]> {
  const at = ({ siteId, cloudId }: Pairing['primary']) => store.observations.vms(vaultId, { siteId, cloudId, vmIds: request.vms });
  const seen = [...(await at(pairing.primary)), ...(await at(pairing.recovery))].map(seenVm);
  const candidates = new Map(findCandidates(seen, [pairing]).map((candidate) => [candidate.primary.vmId, candidate]));
  const missing = request.vms.filter((id) => !seen.some(({ vmId }) => vmId === id));
  if (missing.length > 0) {
    const problems = missing.map((id): Problem => ({ message: `neither cloud of the pairing has VM ${id}` }));
    throw new FarshoreError('ERR_VM_NOT_FOUND', 'not every VM asked for is in the clouds of the pairing', { problems });
  }
  const obstacles = request.vms.flatMap((id): Problem[] => {
    const candidate = candidates.get(id);
    const name = candidate?.primary.name ?? seen.find(({ vmId }) => vmId === id)?.name ?? id;
    const message = candidate?.obstacle ?? 'it is the primary of no replication in these clouds: protect it instead';
    return message === '' ? [] : [{ field: name, message }];
  });
  const found = request.vms.flatMap((id) => candidates.get(id) ?? []);
  const differences = request.differences === undefined ? found.flatMap(differencesIn) : [];
  const problems = [...obstacles, ...differences];
  if (obstacles.length > 0) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', 'not every VM asked for can be adopted', { problems });
  if (problems.length > 0)
    throw new FarshoreError('ERR_SETTINGS_DIFFER', `the policy of pairing ${pairing.name} says otherwise`, { problems });
  return found;
}

function differencesIn({ primary, differences }: Chosen): Problem[] {
  return differences.map(({ setting, is, policy }) => ({
    field: `${primary.name}: ${setting}`,
    message: `is ${is}; the policy says ${policy}`,
    allowed: policy,
  }));
}

interface Adoption {
  readonly vm: NewJob['newVms'][number];
  readonly settings: SeenVm['settings'];
  readonly differences: Chosen['differences'];
}

function adoptionOf(candidate: Chosen, epoch: number, pairing: Pairing, bring: boolean, ports: CompilePorts): Adoption {
  const { primary, replicatesFrom, differences } = candidate;
  const from: ActiveLocation = replicatesFrom ?? 'primary';
  const wanted = wantedSettings(pairing);
  // What a person keeps counts as what is wanted, until that is changed.
  const applied = bring && differences.length > 0 ? noSettings : { ...noSettings, policy: wanted.policy };
  const vm = {
    id: ProtectedVmId.parse(ports.random.uuid()),
    vaultId: pairing.vaultId,
    pairingId: pairing.id,
    vmId: primary.vmId,
    name: primary.name,
    phase: 'enabling' as const,
    activeLocation: from,
    replicatesFrom: from,
    epoch,
    applied,
    attempted: wanted,
    createdAt: ports.clock.now(),
  };
  return { vm, settings: primary.settings, differences };
}

function adoptionSteps(adoption: Adoption, pairing: Pairing, bring: boolean): Step<StepWork>[] {
  const { vm, settings, differences } = adoption;
  const { id, vmId, name, epoch, replicatesFrom } = vm;
  const [source, target] = [pairing[replicatesFrom], pairing[otherSide(replicatesFrom)]];
  const common = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const atSource = { ...common, siteId: source.siteId };
  const atTarget = { ...common, siteId: target.siteId };
  const primary = { cloudId: source.cloudId, vmId };
  const replica = { cloudId: target.cloudId, vmId };
  const [lookHere, lookThere] = [stepOf('admit/source', id), stepOf('admit/target', id)];
  const step = { after: [], scope: id, attempts: 3 };
  const configure = stepOf('configure', id);
  const policyStep: Step<StepWork> = {
    ...step,
    id: stepOf('policy', id),
    title: `set the policy of ${name}`,
    work: { ...atSource, kind: 'replication.setPolicy', args: { vm: primary, policy: pairing.policy } },
    pivot: true,
    needs: [configure],
  };
  return [
    {
      ...step,
      id: lookHere,
      title: `look at ${name} at the ${replicatesFrom} site`,
      work: {
        ...atSource,
        kind: 'replication.admitAdoption',
        args: { vm: primary, role: 'primary', settings, pointAt: null },
        vm: { id, marks: { undone: 'protectionEnded', neverStarted: 'protectionEnded' } },
      },
      looksOnly: true,
      needs: [],
    },
    {
      ...step,
      id: lookThere,
      title: `look at its replica at the ${otherSide(replicatesFrom)} site`,
      work: {
        ...atTarget,
        kind: 'replication.admitAdoption',
        args: { vm: replica, role: 'replica', settings: null },
        from: { pointAt: lookHere },
      },
      looksOnly: true,
      needs: [lookHere],
    },
    {
      ...step,
      id: configure,
      title: `set networks and addresses of ${name}`,
      work: {
        ...atTarget,
        kind: 'replica.configure',
        args: { vm: replica, networks: networksTowards(otherSide(replicatesFrom), pairing) },
        vm: { id, marks: { done: 'adopted' } },
      },
      needs: [lookThere],
    },
    ...(bring && differences.length > 0 ? [policyStep] : []),
  ];
}

/** The map of the pairing is written from primary to recovery; a replica at the primary site wants it the other way round. */
function networksTowards(side: ActiveLocation, { networks }: Pairing) {
  return side === 'recovery' ? [...networks] : networks.map(({ from, to }) => ({ from: to, to: from }));
}
