/** Commands: recovery plans, as texts that people write and as versions that are kept. */
import path from 'node:path';
import type { Command } from 'commander';
import { readDocument, writeDocument } from '../../../shared/document.ts';
import { RecoveryPlan } from '../../../shared/domain/recovery-plan.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import { EXIT } from '../exit-codes.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { moment, plain, table } from '../output.ts';
import { diffText } from '../plan-diff-text.ts';
import { planPicture } from '../plan-picture.ts';
import { readText, type Session } from '../session.ts';
import { findPlan } from '../target.ts';
import { wholeNumber } from '../whole-number.ts';

interface DiffOptions {
  readonly from?: number;
  readonly to?: number;
  readonly exitCode: boolean;
}

export function addPlanCommands(tree: Tree, program: Command): void {
  const plans = program.command('plans').alias('plan').description('recovery plans: which VMs come up in which order');
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
          plan.approval === null ? '-' : plain(plan.approval.by),
        ]);
        return table(
          ['PLAN', 'VERSION', 'GROUPS', 'MEMBERS', 'SAVED', 'BY', 'APPROVED BY'],
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
    about: 'show a plan as it runs: groups, the VMs that its members mean now, and actions',
    examples: ['farshore plans show shop', 'farshore plans show shop --version 3'],
    configure: withVersion,
    run: async (session, options: { version?: number }, name: string) => showPlan(session, options, name),
  });
  addLeaf(tree, plans, {
    usage: 'versions <plan>',
    about: 'list the versions of a plan; they are kept for ever',
    examples: ['farshore plans versions shop'],
    run: async (session, _options: object, name: string) => {
      const client = session.client();
      const answer = await client.call('listPlanVersions', { params: { plan: (await findPlan(client, name)).id } });
      session.output.show(answer, ({ versions }) => {
        const rows = versions.map((plan) => [
          String(plan.version),
          moment(plan.createdAt),
          plan.createdBy,
          plan.approval === null ? '-' : plain(plan.approval.by),
          sizeOf(plan),
          plain(plan.description),
        ]);
        return table(['VERSION', 'SAVED', 'BY', 'APPROVED BY', 'SIZE', 'DESCRIPTION'], rows, '', session.output.colors);
      });
      return undefined;
    },
  });
  addLeaf(tree, plans, {
    usage: 'approve <plan>',
    about: 'approve a version of a plan that somebody else saved; look at it with: farshore plans diff',
    examples: ['farshore plans approve shop --version 4 --comment "as agreed on Monday"'],
    configure: (command) =>
      command
        .requiredOption('--version <n>', 'the version that you have read', wholeNumber)
        .option('--comment <text>', 'kept with the approval', ''),
    run: async (session, { version, comment }: { version: number; comment: string }, name: string) => {
      const client = session.client();
      const { id } = await findPlan(client, name);
      const plan = await client.call('approvePlan', { params: { plan: id, version }, body: { comment } });
      session.output.show(plan, () => `version ${plan.version} of ${plain(plan.name)} is approved by ${plain(plan.approval?.by ?? '')}`);
      return undefined;
    },
  });
  addLeaf(tree, plans, {
    usage: 'diff <plan> [file]',
    about:
      'show what changes in meaning: from the newest version to a file, or between two versions (the last two where none is named); comments, and an order that means nothing, are no change',
    examples: ['farshore plans diff shop shop.yaml', 'farshore plans diff shop', 'farshore plans diff shop --from 2 --to 5 --exit-code'],
    configure: (command) =>
      command
        .option('--from <n>', 'the version to begin with', wholeNumber)
        .option('--to <n>', 'the version to end with, where no file is given', wholeNumber)
        .option('--exit-code', 'end with 1 where something changes, and 0 where nothing does', false),
    run: async (session, options: DiffOptions, name: string, file?: string) => diffPlan(session, options, name, file),
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
  session.output.show(resolved, (plan) => planPicture(plan, session.output.colors));
  return undefined;
}

async function diffPlan(session: Session, { from, to, exitCode }: DiffOptions, name: string, file?: string): Promise<number> {
  if (file !== undefined && to !== undefined) throw new FarshoreError('ERR_REQUEST_INVALID', 'say either a file or --to');
  const client = session.client();
  const { id } = await findPlan(client, name);
  const end = file === undefined ? to && { version: to } : { text: readText(file, 'the plan'), fileName: file };
  const body = { ...(from !== undefined && { from }), ...(end && { to: end }) };
  const diff = await client.call('diffPlan', { params: { plan: id }, body });
  session.output.show(diff, (answer) => diffText(answer, file));
  return exitCode && diff.changes.length > 0 ? EXIT.failed : EXIT.ok;
}

const withVersion = (command: Command) => command.option('--version <n>', 'another version than the newest', wholeNumber);

function sizeOf({ members, groups }: { readonly members: number; readonly groups: number }): string {
  return `${members} ${members === 1 ? 'member' : 'members'} in ${groups} ${groups === 1 ? 'group' : 'groups'}`;
}
