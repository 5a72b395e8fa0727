/** Commands: failover, and what follows one: take back, another recovery point, commit. */
import type { Command } from 'commander';
import type { Direction } from '../../../shared/api/operations.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { POINTS, pointOf } from '../recovery-point.ts';
import { type FollowOptions, runOperation, withFollow } from '../run-operation.ts';
import { type TargetOptions, targetOf, withTarget } from '../target.ts';
import { wholeNumber } from '../whole-number.ts';

interface FailoverOptions extends TargetOptions, FollowOptions {
  readonly kind: string;
  readonly direction: string;
  readonly reason: string;
  readonly attest: boolean;
  readonly shutDownWithin?: number;
  readonly emergency?: string;
  readonly recoveryPoint: string;
  readonly drillCopies?: string;
}

export function addRecoveryCommands(tree: Tree, program: Command): void {
  addLeaf(tree, program, {
    usage: 'failover',
    about: 'bring VMs up at the other site',
    examples: [
      'farshore failover --kind planned --plan shop --reason "power works in Reading"',
      'farshore failover --kind planned --direction to-primary --plan shop --reason "Reading is rebuilt"',
      'farshore failover --kind unplanned --plan shop --reason "fire in Reading"',
      'farshore failover --kind unplanned --vm web-01 --reason "host died, seen on site" --attest',
      'farshore failover --kind unplanned --vm sql-01 --reason "encrypted at 02:00" --attest --recovery-point 6f1c0d1e-0f6c-4b0e-9d2b-4a8f6f3a2b11',
    ],
    configure: (command) =>
      withFollow(
        withTarget(command)
          .requiredOption('--kind <kind>', 'planned: shut down where they run, nothing is lost; unplanned: that site is dead or cut off')
          .option('--direction <direction>', 'to-recovery, or to-primary: fail back what was reversed', 'to-recovery')
          .requiredOption('--reason <text>', 'why; kept with the job')
          .option(
            '--shut-down-within <seconds>',
            'with --attest: try so long to shut down what still runs there, and to send its last changes',
            wholeNumber,
          )
          .option(
            '--attest',
            'you vouch that the VMs are down at the site they are moved away from, although its agent is connected',
            false,
          )
          .option('--emergency <reason>', 'run what nobody has approved, in a vault that asks for approval; why, kept with the job')
          .option('--recovery-point <point>', POINTS, 'latest')
          .option('--drill-copies <what>', 'leave: test copies of a drill may stay; without it they are cleaned up first, by you'),
      ),
    run: async (session, options: FailoverOptions) => {
      if (options.kind !== 'planned' && options.kind !== 'unplanned')
        throw new FarshoreError('ERR_REQUEST_INVALID', `--kind knows: planned, unplanned; not '${options.kind}'`);
      const direction = directionOf(options.direction);
      if (options.kind === 'planned' && (options.attest || options.recoveryPoint !== 'latest'))
        throw new FarshoreError(
          'ERR_REQUEST_INVALID',
          '--attest and --recovery-point are for --kind unplanned: a planned failover loses nothing',
        );
      if (options.shutDownWithin !== undefined && !options.attest)
        throw new FarshoreError(
          'ERR_REQUEST_INVALID',
          '--shut-down-within needs --attest: at a site that is unreachable nothing can be shut down',
        );
      const client = session.client();
      const target = await targetOf(client, options);
      const emergency = options.emergency === undefined ? {} : { emergency: { reason: options.emergency } };
      const allowances = { ...emergency, ...drillCopiesOf(options) };
      if (options.kind === 'planned')
        return runOperation(
          session,
          client,
          { kind: 'plannedFailover', target, direction, reason: options.reason, ...allowances },
          options,
        );
      const primary = { evidence: options.attest ? ('attested' as const) : ('unreachable' as const), reason: options.reason };
      const shutDown = options.shutDownWithin === undefined ? {} : { shutDownWithinSeconds: options.shutDownWithin };
      const recoveryPoint = pointOf(options.recoveryPoint);
      return runOperation(
        session,
        client,
        { kind: 'unplannedFailover', target, direction, recoveryPoint, primary, ...shutDown, ...allowances },
        options,
      );
    },
  });
  addLeaf(tree, program, {
    usage: 'take-back',
    about: 'undo a failover that is not committed: the VMs run where they came from; what they wrote since is lost',
    examples: [
      'farshore take-back --plan shop --reason "the new site has no way to the bank"',
      'farshore take-back --vm web-01 --reason "wrong VM"',
    ],
    configure: (command) => withFollow(withTarget(command).requiredOption('--reason <text>', 'why; kept with the job')),
    run: async (session, options: TargetOptions & FollowOptions & { reason: string }) => {
      const client = session.client();
      const target = await targetOf(client, options);
      return runOperation(session, client, { kind: 'takeBack', target, reason: options.reason }, options);
    },
  });
  addLeaf(tree, program, {
    usage: 'change-recovery-point',
    about: 'bring VMs of a failover that is not committed up from another recovery point; what they wrote since is lost',
    examples: ['farshore change-recovery-point --vm sql-01 --recovery-point latest-application-consistent --reason "database is torn"'],
    configure: (command) =>
      withFollow(
        withTarget(command).requiredOption('--recovery-point <point>', POINTS).requiredOption('--reason <text>', 'why; kept with the job'),
      ),
    run: async (session, options: TargetOptions & FollowOptions & { reason: string; recoveryPoint: string }) => {
      const client = session.client();
      const [target, recoveryPoint] = [await targetOf(client, options), pointOf(options.recoveryPoint)];
      return runOperation(session, client, { kind: 'changeRecoveryPoint', target, recoveryPoint, reason: options.reason }, options);
    },
  });
  addLeaf(tree, program, {
    usage: 'commit',
    about: 'give up the other recovery points of VMs that were failed over; it cannot be taken back',
    examples: ['farshore commit --plan shop', 'farshore commit --vm web-01 --vm web-02'],
    configure: (command) => withFollow(withTarget(command)),
    run: async (session, options: TargetOptions & FollowOptions) => {
      const client = session.client();
      return runOperation(session, client, { kind: 'commit', target: await targetOf(client, options) }, options);
    },
  });
}

function directionOf(text: string): Direction {
  if (text === 'to-recovery') return 'toRecovery';
  if (text === 'to-primary') return 'toPrimary';
  throw new FarshoreError('ERR_REQUEST_INVALID', `--direction knows: to-recovery, to-primary; not '${text}'`);
}

function drillCopiesOf({ drillCopies }: FailoverOptions): { drillCopies?: 'leave' } {
  if (drillCopies === undefined) return {};
  if (drillCopies === 'leave') return { drillCopies };
  throw new FarshoreError('ERR_REQUEST_INVALID', `--drill-copies knows: leave; not '${drillCopies}'`);
}
