/** Commit a failover: the other recovery points are given up, and it can no longer be taken back. Never automatic. */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { type Compile, recoveryRef, resolveAllowed } from './compile.ts';

const BEGIN_WITHIN_SECONDS = 3600;

export const compileCommit: Compile<'commit'> = async (request, actor, ports) => {
  const { target, members } = await resolveAllowed(request.target, 'commit', ['recovery'], actor, ports);
  return {
    target: target.title,
    input: { target: request.target, vms: members.map(({ vm }) => ({ vm: vm.id, name: vm.name })) },
    graph: {
      steps: members.map((member) => ({
        id: stepOf('commit', member.vm.id),
        title: `commit ${member.vm.name}`,
        work: {
          siteId: member.pairing.recovery.siteId,
          epoch: member.vm.epoch,
          beginWithinSeconds: BEGIN_WITHIN_SECONDS,
          kind: 'failover.commit' as const,
          args: { vm: recoveryRef(member) },
          vm: { id: member.vm.id, marks: { done: 'failoverCommitted' as const } },
        },
        needs: [],
        after: [],
        scope: member.vm.id,
        pivot: true,
        attempts: 3,
      })),
    },
    claims: members.map(({ vm }) => ({ id: vm.id, phases: ['failedOver'] })),
    newVms: [],
  };
};
