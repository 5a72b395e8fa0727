/**
 * Change the protection policy and the network map of a pairing in use. What was decided stands at once: who is protected or
 * reversed from now on gets it. The VMs that replicate already are brought to it one by one, and a failure waits for a person.
 * Those that cannot be now are behind, which is told of them, and get it when they can (settings-keeper.ts).
 */
import type { OperationRequestOf } from '../../shared/api/operations.ts';
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { changedPolicy } from '../../shared/domain/policy.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Pairing, ProtectedVm } from '../store/promise-store.ts';
import type { VmObservation } from '../store/store.ts';
import { settingsBehind, type VmSettings, wantedSettings } from '../store/vm-settings.ts';
import {
  BEGIN_WITHIN_SECONDS,
  type Compile,
  type CompilePorts,
  pairedPairing,
  refuseUnlessConnected,
  sidesOf,
  type TargetVm,
} from './compile.ts';
import type { Actor } from './operations.ts';
import { unknownNetworks } from './pair.ts';

type Request = OperationRequestOf<'changePairing'>;

/** The hosts of both clouds were prepared with these. */
const preparedWith = ['authentication', 'port'] as const;
const GIVES_WAY_AFTER_SECONDS = 30;

export const compileChangePairing: Compile<'changePairing'> = async (request, actor, ports) => {
  const { store } = ports;
  const before = await pairedPairing(request.pairing, actor, ports);
  const policy = changedPolicy(before.policy, request.policy ?? {});
  const pairing: Pairing = { ...before, policy, networks: request.networks ?? before.networks };
  const problems = [...lastingProblems(before, pairing), ...(await unknownNetworks(pairing, actor, store))];
  if (problems.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', 'the pairing cannot be changed to that', { problems });
  const vms = await store.promises.protectedVms(actor.vaultId, { pairingId: pairing.id });
  const wanted = wantedSettings(pairing);
  const behind = vms.filter((vm) => settingsBehind(vm, wanted).length > 0);
  const now = behind.filter((vm) => isFree(vm) && (request.vms?.includes(vm.id) ?? true));
  // Whoever changes the policy says it for those too that get it later.
  const affected = request.policy === undefined ? now : behind.filter(hasPoints);
  await refuseToDeletePoints(request, before, pairing, affected, actor, ports);
  const members = now.map((vm): TargetVm => ({ vm, pairing, guestAnswersWithinSeconds: 0, dependsOn: [] }));
  await refuseUnlessConnected(
    members.flatMap((member) => [sidesOf(member).source.siteId, sidesOf(member).target.siteId]),
    actor,
    ports,
  );
  return {
    target: pairing.name,
    input: {
      pairing: pairing.id,
      vms: now.map(({ id, name }) => ({ vm: id, name })),
      skipped: behind.filter((vm) => !now.includes(vm)).map(laterOf),
      ...(request.deleteRecoveryPoints && { reason: request.deleteRecoveryPoints.reason }),
    },
    graph: { steps: members.flatMap((member) => changeSteps(member, wanted, request.givesWay === true)) },
    claims: now.map((vm) => ({ id: vm.id, phases: ['protected', 'seeding'], attempts: attemptsOf(vm, wanted) })),
    newVms: [],
    changedPairing: { id: pairing.id, policy: request.policy ?? {}, networks: request.networks },
  };
};

const isFree = ({ phase, busyWith }: ProtectedVm) => busyWith === null && (phase === 'protected' || phase === 'seeding');

/** With the commit they went, and replication that is turned round begins with none. */
const hasPoints = ({ phase }: ProtectedVm) => phase !== 'committed' && phase !== 'reversing';

const attemptsOf = (vm: ProtectedVm, wanted: VmSettings): Partial<VmSettings> =>
  Object.fromEntries(settingsBehind(vm, wanted).map((setting) => [setting, wanted[setting]]));

function lastingProblems(before: Pairing, { policy }: Pairing): Problem[] {
  return preparedWith
    .filter((field) => policy[field] !== before.policy[field])
    .map(
      (field): Problem => ({
        field: `policy.${field}`,
        message: `the hosts are prepared with ${before.policy[field] ?? 'the default'}; pair the clouds anew for another one`,
      }),
    );
}

function laterOf({ name, phase, busyWith }: ProtectedVm) {
  if (busyWith !== null) return { name, reason: `job ${busyWith} works on it: it gets what was changed after that` };
  if (phase === 'protected' || phase === 'seeding') return { name, reason: 'others were asked for' };
  return { name, reason: `it is ${phase}: it gets what was changed when it replicates again` };
}

/** Throws ERR_POINTS_WOULD_GO with how many each VM loses at most: what the policy kept until now, or what its site reports. */
async function refuseToDeletePoints(
  request: Request,
  before: Pairing,
  { policy }: Pairing,
  vms: readonly ProtectedVm[],
  { vaultId }: Actor,
  { store }: CompilePorts,
): Promise<void> {
  if (request.deleteRecoveryPoints !== undefined || vms.length === 0) return;
  const seen = await store.observations.vms(vaultId, { vmIds: vms.map(({ vmId }) => vmId) });
  const reported = Map.groupBy(seen, ({ report }) => report.ref.vmId);
  const problems = vms.flatMap((vm): Problem[] => {
    const kept = Math.max(before.policy.additionalRecoveryPoints, ...(reported.get(vm.vmId) ?? []).map(pointsKept));
    const lost = kept - policy.additionalRecoveryPoints;
    return lost > 0 ? [{ field: vm.name, message: `loses up to ${lost} recovery point${lost === 1 ? '' : 's'}` }] : [];
  });
  if (problems.length === 0) return;
  const message = `the policy keeps ${policy.additionalRecoveryPoints} beside the latest recovery point, which is fewer than are kept now`;
  throw new FarshoreError('ERR_POINTS_WOULD_GO', message, { problems });
}

const pointsKept = ({ report }: VmObservation): number => report.replication.settings?.additionalRecoveryPoints ?? 0;

/** What a VM lacks, and nothing else. */
function changeSteps(member: TargetVm, wanted: VmSettings, givesWay: boolean): Step<StepWork>[] {
  const { vm, pairing } = member;
  const { id, epoch, name } = vm;
  const { source, target } = sidesOf(member);
  const common = { epoch, beginWithinSeconds: givesWay ? GIVES_WAY_AFTER_SECONDS : BEGIN_WITHIN_SECONDS };
  const way = givesWay ? { aside: 'continue' as const, limitSeconds: GIVES_WAY_AFTER_SECONDS } : { pivot: true };
  const step = { needs: [], after: [], scope: id, attempts: 3, ...way };
  const steps: Record<keyof VmSettings, Step<StepWork>> = {
    policy: {
      ...step,
      id: stepOf('policy', id),
      title: `set the policy of ${name}`,
      work: { ...common, siteId: source.siteId, kind: 'replication.setPolicy', args: { vm: source.ref, policy: pairing.policy } },
    },
    networks: {
      ...step,
      id: stepOf('configure', id),
      title: `set networks and addresses of ${name}`,
      work: { ...common, siteId: target.siteId, kind: 'replica.configure', args: { vm: target.ref, networks: [...pairing.networks] } },
    },
  };
  return settingsBehind(vm, wanted).map((setting) => steps[setting]);
}
