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
