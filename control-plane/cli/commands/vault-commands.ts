/** Commands: the settings of the vault. */
import { type Command, InvalidArgumentError } from 'commander';
import type { RouteAnswer } from '../../../shared/api/routes.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { moment, plain } from '../output.ts';
import { wholeNumber } from '../whole-number.ts';

export function addVaultCommands(tree: Tree, program: Command): void {
  const vault = program.command('vault').description('what holds for the whole vault');
  addLeaf(tree, vault, {
    usage: 'show',
    about: 'show the settings of the vault',
    examples: ['farshore vault show'],
    run: async (session) => {
      session.output.show(await session.client().call('getVaultSettings'), settingsText);
      return undefined;
    },
  });
  addLeaf(tree, vault, {
    usage: 'set',
    about: 'change settings of the vault; what is not named stays as it is',
    examples: ['farshore vault set --plan-approval on', 'farshore vault set --keep-jobs-days 1825'],
    configure: (command) =>
      command
        .option('--plan-approval <on|off>', 'only versions that a second person approved are failed over', onOrOff)
        .option('--keep-jobs-days <n>', 'how long jobs that have ended are kept; older ones are removed for good', wholeNumber),
    run: async (session, options: { planApproval?: boolean; keepJobsDays?: number }) => {
      const client = session.client();
      const { changedAt: _at, changedBy: _by, ...settings } = await client.call('getVaultSettings');
      const { planApproval = settings.requirePlanApproval, keepJobsDays = settings.keepJobsDays } = options;
      const changed = await client.call('setVaultSettings', { body: { ...settings, requirePlanApproval: planApproval, keepJobsDays } });
      session.output.show(changed, settingsText);
      return undefined;
    },
  });
}

function settingsText(settings: RouteAnswer<'getVaultSettings'>): string {
  const changed =
    settings.changedAt === null ? 'nobody has changed them' : `changed ${moment(settings.changedAt)} by ${plain(settings.changedBy ?? '')}`;
  return [
    `plan approval  ${settings.requirePlanApproval ? 'on' : 'off'}`,
    `jobs are kept  ${settings.keepJobsDays} days`,
    `(${changed})`,
  ].join('\n');
}

function onOrOff(text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new InvalidArgumentError('on or off is wanted');
  return text === 'on';
}
