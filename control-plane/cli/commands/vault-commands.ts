/** Commands: the settings of the vault. */
import { type Command, InvalidArgumentError } from 'commander';
import type { RouteAnswer } from '../../../shared/api/routes.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { moment, plain } from '../output.ts';

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
    examples: ['farshore vault set --plan-approval on'],
    configure: (command) =>
      command.option('--plan-approval <on|off>', 'only versions that a second person approved are failed over', onOrOff),
    run: async (session, options: { planApproval?: boolean }) => {
      const client = session.client();
      const { changedAt: _at, changedBy: _by, ...settings } = await client.call('getVaultSettings');
      const { planApproval = settings.requirePlanApproval } = options;
      const changed = await client.call('setVaultSettings', { body: { ...settings, requirePlanApproval: planApproval } });
      session.output.show(changed, settingsText);
      return undefined;
    },
  });
}

function settingsText(settings: RouteAnswer<'getVaultSettings'>): string {
  const changed =
    settings.changedAt === null ? 'as they came' : `changed ${moment(settings.changedAt)} by ${plain(settings.changedBy ?? '')}`;
  return [`plan approval  ${settings.requirePlanApproval ? 'on' : 'off'}`, `(${changed})`].join('\n');
}

function onOrOff(text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new InvalidArgumentError('on or off is wanted');
  return text === 'on';
}
