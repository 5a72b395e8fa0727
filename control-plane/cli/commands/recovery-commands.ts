/** Commands: recovery plans, failover, and what follows one: take back, another recovery point, commit. */
import path from 'node:path';
import type { Command } from 'commander';
import type { Direction } from '../../../shared/api/operations.ts';
import { readDocument, writeDocument } from '../../../shared/document.ts';
import { RecoveryPlan } from '../../../shared/domain/recovery-plan.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { moment, plain, table } from '../output.ts';
import { POINTS, pointOf } from '../recovery-point.ts';
import { type FollowOptions, runOperation, withFollow } from '../run-operation.ts';
import { readText, type Session } from '../session.ts';
import { findPlan, type TargetOptions, targetOf, withTarget } from '../target.ts';
import { wholeNumber } from '../whole-number.ts';

interface FailoverOptions extends TargetOptions, FollowOptions {
  readonly kind: string;
  readonly direction: string;
  readonly reason: string;
  readonly attest: boolean;
  readonly recoveryPoint: string;
  readonly drillCopies?: string;
}

export function addRecoveryCommands(tree: Tree, program: Command): void {
  addPlanCommands(tree, program.command('plans').description('recovery plans: which VMs come up in which order'));

  addLeaf(tree, program, {
    usage: 'failover',
    about: 'bring VMs up at the other site',
    examples: [
      'farshore failover --kind planned --plan shop --reason "power works in Reading"',
      'farshore failover --kind planned --direction to-primary --plan shop --reason "Reading is rebuilt"',
      'farshore failover --kind unplanned --plan shop --reason "fire in Reading"',
      'farshore failover --kind unplanned --vm web-01 --reason "host died, seen on site" --attest',
    ],
    configure: (command) =>
      withFollow(
        withTarget(command)
          .requiredOption('--kind <kind>', 'planned: shut down where they run, nothing is lost; unplanned: that site is dead or cut off')
          .option('--direction <direction>', 'to-recovery, or to-primary: fail back what was reversed', 'to-recovery')
          .requiredOption('--reason <text>', 'why; kept with the job')
          .option(
            '--attest',
            'you vouch that the VMs are down at the site they are moved away from, although its agent is connected',
            false,
          )
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
      const client = session.client();
      const target = await targetOf(client, options);
      if (options.kind === 'planned')
        return runOperation(
          session,
          client,
          { kind: 'plannedFailover', target, direction, reason: options.reason, ...drillCopiesOf(options) },
          options,
        );
      const primary = { evidence: options.attest ? ('attested' as const) : ('unreachable' as const), reason: options.reason };
      return runOperation(
        session,
        client,
        { kind: 'unplannedFailover', target, direction, recoveryPoint: pointOf(options.recoveryPoint), primary, ...drillCopiesOf(options) },
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

function addPlanCommands(tree: Tree, plans: Command): void {
  addLeaf(tree, plans, {
    usage: 'list',
    about: 'list the plans',
    examples: ['farshore plans list'],
    run: async (session) => {
      session.output.show(await session.client().call('listPlans'), (answer) => {
        const rows = answer.plans.map((plan) => [
          plain(plan.name),
          String(plan.version),
          String(plan.groups),
          String(plan.members),
          moment(plan.createdAt),
          plan.createdBy,
        ]);
        return table(
          ['PLAN', 'VERSION', 'GROUPS', 'MEMBERS', 'SAVED', 'BY'],
          rows,
          'no plans; save one with: farshore plans apply FILE',
          session.output.colors,
        );
      });
      return undefined;
    },
  });
  addLeaf(tree, plans, {
    usage: 'apply <file>',
    about: 'save a plan (YAML or JSON) as a new version, if it has no mistakes',
    examples: ['farshore plans apply shop.yaml'],
    run: async (session, _options: object, file: string) => {
      const text = readText(file, 'the plan');
      const { name } = readDocument(text, file, RecoveryPlan);
      const saved = await session.client().call('savePlan', { params: { plan: name }, body: { text, fileName: file } });
      const what = saved.isChanged ? `is saved as version ${saved.version}` : `says what version ${saved.version} says; nothing was saved`;
      session.output.show(saved, () => `plan ${plain(saved.name)} ${what}: ${sizeOf(saved)}`);
      return undefined;
    },
  });
  addLeaf(tree, plans, {
    usage: 'validate <file>',
    about: 'check a plan without saving it; every mistake with its line',
    examples: ['farshore plans validate shop.yaml'],
    run: async (session, _options: object, file: string) => {
      const body = { text: readText(file, 'the plan'), fileName: file };
      const checked = await session.client().call('checkPlan', { body });
      session.output.show(checked, () =>
        [`${path.basename(file)} has no mistakes: plan ${plain(checked.name)}, ${sizeOf(checked)}`, ...checked.notes.map(plain)].join('\n'),
      );
      return undefined;
    },
  });
  addLeaf(tree, plans, {
    usage: 'show <plan>',
    about: 'show a plan and which VM each member means now',
    examples: ['farshore plans show shop', 'farshore plans show shop --version 3'],
    configure: withVersion,
    run: async (session, options: { version?: number }, name: string) => showPlan(session, options, name),
  });
  addLeaf(tree, plans, {
    usage: 'export <plan>',
    about: 'write a plan as YAML, ready to be changed and applied',
    examples: ['farshore plans export shop > shop.yaml'],
    configure: withVersion,
    run: async (session, options: { version?: number }, name: string) => {
      const client = session.client();
      const plan = await client.call('getPlan', {
        params: { plan: (await findPlan(client, name)).id },
        query: options.version === undefined ? {} : { version: options.version },
      });
      session.output.show(plan.document, (document) => writeDocument(document).trimEnd());
      return undefined;
    },
  });
}

async function showPlan(session: Session, { version }: { version?: number }, name: string): Promise<undefined> {
  const client = session.client();
  const { id } = await findPlan(client, name);
  const resolved = await client.call('resolvePlan', { params: { plan: id }, query: version === undefined ? {} : { version } });
  session.output.show(resolved, (plan) => {
    const lines = [`${session.output.colors.bold(plain(plan.name))}  version ${plan.version}`];
    for (const group of plan.groups) {
      lines.push('', `  ${plain(group.name)}`);
      const rows = group.members.map((member) => [
        `    ${plain(member.name)}`,
        member.phase,
        `guest answers within ${member.guestAnswersWithinSeconds} s`,
      ]);
      lines.push(
        table(['', '', ''], rows, '    (no member of it is protected)', session.output.colors)
          .split('\n')
          .slice(rows.length > 0 ? 1 : 0)
          .join('\n'),
      );
    }
    if (plan.problems.length > 0)
      lines.push('', 'Members that mean no VM now:', ...plan.problems.map(({ field, message }) => `  ${field ?? ''}  ${plain(message)}`));
    return lines.join('\n');
  });
  return undefined;
}

const withVersion = (command: Command) => command.option('--version <n>', 'another version than the newest', wholeNumber);

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

function sizeOf({ members, groups }: { readonly members: number; readonly groups: number }): string {
  return `${members} ${members === 1 ? 'member' : 'members'} in ${groups} ${groups === 1 ? 'group' : 'groups'}`;
}
