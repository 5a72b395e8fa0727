/** Commands: what is done to the replication of protected VMs after a failover or a fault. */
import type { Command } from 'commander';
import { addLeaf, type Tree } from '../leaf.ts';
import { type FollowOptions, runOperation, withFollow } from '../run-operation.ts';
import { type TargetOptions, targetOf, withReason, withReasonIfAny, withTarget } from '../target.ts';

export function addReplicationCommands(tree: Tree, program: Command): void {
  addLeaf(tree, program, {
    usage: 'reverse-replication',
    about: 'protect VMs again after a committed failover: they replicate back to where they came from, ready to be failed back',
    examples: [
      'farshore reverse-replication --plan shop',
      'farshore reverse-replication --vm web-01 --shut-down-former-primary "Slough has taken the orders"',
    ],
    configure: (command) =>
      withFollow(
        withReasonIfAny(withTarget(command)).option(
          '--shut-down-former-primary <reason>',
          'a former primary that still runs is shut down, and what it wrote since the failover is lost: why that is right',
        ),
      ),
    run: async (session, options: TargetOptions & FollowOptions & { reason?: string; shutDownFormerPrimary?: string }) => {
      const client = session.client();
      const target = await targetOf(client, options);
      const { reason, shutDownFormerPrimary: lost } = options;
      const shutDown = lost === undefined ? {} : { shutDownFormerPrimary: { reason: lost } };
      return runOperation(
        session,
        client,
        { kind: 'reverseReplication', target, ...shutDown, ...(reason !== undefined && { reason }) },
        options,
      );
    },
  });
  addSuspensionCommands(tree, program);
  addLeaf(tree, program, {
    usage: 'resynchronize',
    about: 'bring VMs back to replicating whose replica fell out of step; their older recovery points are lost',
    examples: [
      'farshore resynchronize --vm sql-01 --reason "its host crashed"',
      'farshore resynchronize --plan shop --only sql-01 --reason "its host crashed"',
    ],
    configure: (command) => withFollow(withReason(withTarget(command))),
    run: async (session, options: TargetOptions & FollowOptions & { reason: string }) => {
      const client = session.client();
      const target = await targetOf(client, options);
      return runOperation(session, client, { kind: 'resynchronize', target, reason: options.reason }, options);
    },
  });
}

function addSuspensionCommands(tree: Tree, program: Command): void {
  addLeaf(tree, program, {
    usage: 'suspend',
    about: 'suspend the replication of VMs until somebody resumes it; their recovery points stay and grow older',
    examples: [
      'farshore suspend --vm sql-01 --reason "the line is needed for the month-end"',
      'farshore suspend --plan shop --at-replica --reason "what Reading writes is not to be trusted"',
    ],
    configure: (command) =>
      withFollow(withReason(withTarget(command))).option(
        '--at-replica',
        'the replica takes nothing, in place of the other side sending nothing; the other side need not be there',
        false,
      ),
    run: async (session, options: TargetOptions & FollowOptions & { reason: string; atReplica: boolean }) => {
      const client = session.client();
      const target = await targetOf(client, options);
      const end = options.atReplica ? 'target' : 'source';
      return runOperation(session, client, { kind: 'suspend', target, end, reason: options.reason }, options);
    },
  });
  addLeaf(tree, program, {
    usage: 'resume',
    about: 'let VMs replicate again that were suspended, at whichever side',
    examples: ['farshore resume --vm sql-01', 'farshore resume --plan shop --reason "the month is closed"'],
    configure: (command) => withFollow(withReasonIfAny(withTarget(command))),
    run: async (session, options: TargetOptions & FollowOptions & { reason?: string }) => {
      const client = session.client();
      const target = await targetOf(client, options);
      const { reason } = options;
      return runOperation(session, client, { kind: 'resume', target, ...(reason !== undefined && { reason }) }, options);
    },
  });
}
