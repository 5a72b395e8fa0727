/**
 * Change the protection policy and the network map of a pairing in use. What was decided stands at once: who is protected or
 * reversed from now on gets it. The VMs that replicate already are brought to it one by one, and a failure waits for a person.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Pairing, ProtectedVm } from '../store/store.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, pairedPairing, refuseUnlessConnected, sidesOf, type TargetVm } from './compile.ts';
import { unknownNetworks } from './pair.ts';

/** The hosts of both clouds were prepared with these. */
const preparedWith = ['authentication', 'port'] as const;

export const compileChangePairing: Compile<'changePairing'> = async (request, actor, ports) => {
  const { store } = ports;
  const before = await pairedPairing(request.pairing, actor, ports);
  const pairing: Pairing = { ...before, policy: request.policy ?? before.policy, networks: request.networks ?? before.networks };
  const problems = [...lastingProblems(before, pairing), ...(await unknownNetworks(pairing, actor, store))];
  if (problems.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', 'the pairing cannot be changed to that', { problems });
  const vms = await store.promises.protectedVms(actor.vaultId, { pairingId: pairing.id });
  const replicating = vms.filter(({ phase }) => phase === 'protected' || phase === 'seeding');
  const members = replicating.map((vm): TargetVm => ({ vm, pairing, guestAnswersWithinSeconds: 0, dependsOn: [] }));
  await refuseUnlessConnected(
    members.flatMap((member) => [sidesOf(member).source.siteId, sidesOf(member).target.siteId]),
    actor,
    ports,
  );
  return {
    target: pairing.name,
    input: {
      pairing: pairing.id,
      vms: replicating.map(({ id, name }) => ({ vm: id, name })),
      skipped: vms.filter((vm) => !replicating.includes(vm)).map(laterOf),
    },
    graph: { steps: members.flatMap(changeSteps) },
    claims: replicating.map(({ id }) => ({ id, phases: ['protected', 'seeding'] })),
    newVms: [],
    changedPairing: { id: pairing.id, policy: pairing.policy, networks: pairing.networks },
  };
};

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

const laterOf = ({ name, phase }: ProtectedVm) => ({ name, reason: `it is ${phase}: it gets what was changed when it replicates again` });

function changeSteps(member: TargetVm): Step<StepWork>[] {
  const { vm, pairing } = member;
  const { id, epoch, name } = vm;
  const { source, target } = sidesOf(member);
  const common = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const step = { needs: [], after: [], scope: id, pivot: true, attempts: 3 };
  const policy: Step<StepWork> = {
    ...step,
    id: stepOf('policy', id),
    title: `set the policy of ${name}`,
    work: { ...common, siteId: source.siteId, kind: 'replication.setPolicy', args: { vm: source.ref, policy: pairing.policy } },
  };
  // A VM that replicates back has its own networks at the primary site, not mapped ones.
  if (target.location === 'primary') return [policy];
  return [
    policy,
    {
      ...step,
      id: stepOf('configure', id),
      title: `set networks and addresses of ${name}`,
      work: { ...common, siteId: target.siteId, kind: 'replica.configure', args: { vm: target.ref, networks: [...pairing.networks] } },
    },
  ];
}
