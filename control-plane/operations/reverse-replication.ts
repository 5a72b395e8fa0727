/**
 * Reverse replication: what runs after a committed failover sends to where it came from, so that it is protected again and
 * can go back. After a planned failover the sides swap roles. Else the former primary becomes a replica, what it wrote
 * after the failover is given up, and only what differs is copied.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, resolveAllowed, sidesOf, type TargetVm } from './compile.ts';
import { untilCopied } from './copying.ts';

export const compileReverseReplication: Compile<'reverseReplication'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'reverseReplication', ['source', 'target'], actor, ports);
  refuseUnlessReceiving(members);
  return {
    target: target.title,
    input: {
      target: request.target,
      shutDownFormerPrimary: request.shutDownFormerPrimary ?? null,
      vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })),
    },
    graph: { steps: members.flatMap((member) => reversalSteps(member, request.shutDownFormerPrimary !== undefined)) },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['committed'] })),
    newVms: [],
  };
};

/** A pairing that was made before both sides received replicas knows one address only. */
function refuseUnlessReceiving(members: readonly TargetVm[]): void {
  const closed = new Set(members.filter((member) => addressOf(member) === null).map(({ pairing }) => pairing.name));
  const problems = [...closed].map((name): Problem => ({ message: `the pairing ${name} is prepared for one direction only` }));
  if (problems.length > 0)
    throw new FarshoreError('ERR_NOT_PREPARED', 'not every side that is to receive replicas is prepared for it', { problems });
}

const addressOf = (member: TargetVm) => member.pairing.replicaAddresses[sidesOf(member).source.location];

function reversalSteps(member: TargetVm, shutDown: boolean): Step<StepWork>[] {
  const { vm, pairing } = member;
  const { id, epoch, name } = vm;
  const { source, target } = sidesOf(member);
  const common = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const atSource = { ...common, siteId: source.siteId };
  const atTarget = { ...common, siteId: target.siteId };
  const step = { after: [], scope: id, attempts: 3 };
  const [lookThere, lookHere] = [stepOf('look/target', id), stepOf('look/source', id)];
  const [replica, reverse, seed] = [stepOf('become-replica', id), stepOf('reverse', id), stepOf('seed', id)];
  const former = { siteId: source.siteId, cloudId: source.ref.cloudId, address: addressOf(member) ?? '' };
  return [
    {
      ...step,
      id: lookThere,
      title: `look at ${name} at the ${target.location} site`,
      work: { ...atTarget, kind: 'replication.admitReversal', args: { vm: target.ref, role: 'replica', shutDown: false } },
      looksOnly: true,
      needs: [],
    },
    {
      ...step,
      id: lookHere,
      title: `look at ${name} at the ${source.location} site`,
      work: { ...atSource, kind: 'replication.admitReversal', args: { vm: source.ref, role: 'primary', shutDown } },
      looksOnly: true,
      needs: [],
    },
    {
      ...step,
      id: replica,
      title: `make ${name} a replica at the ${source.location} site`,
      work: {
        ...atSource,
        kind: 'replication.becomeReplica',
        args: { vm: source.ref, shutDown },
        from: { isPlanned: lookThere },
        vm: { id, marks: { started: 'reversalStarted', skipped: 'reversalGivenUp' } },
      },
      pivot: true,
      skipEndsScope: true,
      needs: [lookThere, lookHere],
    },
    {
      ...step,
      id: reverse,
      title: `make ${name} the primary at the ${target.location} site`,
      work: {
        ...atTarget,
        kind: 'replication.reverse',
        args: { vm: target.ref, target: former, policy: pairing.policy },
        vm: { id, marks: { done: 'replicationReversed', skipped: 'reversalGivenUp' } },
      },
      pivot: true,
      skipEndsScope: true,
      needs: [replica],
    },
    {
      ...step,
      id: seed,
      title: `send what differs of ${name}`,
      work: { ...atTarget, kind: 'replication.seed', args: { vm: target.ref } },
      pivot: true,
      needs: [reverse],
    },
    // Its roles have changed.
    untilCopied({ vm, source: target, target: source, begunBy: seed, marks: { done: 'firstCopyArrived' } }),
  ];
}
