/** `farshore-agent service ...`: the agent as a Windows service. `--what-if` shows every call and does none, on any system. */
import type { Command } from 'commander';
import type { Given, ServiceSurroundings } from './manage-service.ts';

export const DEFAULT_NAME = 'FarshoreAgent';

const INSTALL_EXAMPLES = `
Examples (in a window that was opened as administrator):
  farshore-agent service install --data "C:\\ProgramData\\Farshore" --account CORP\\farshore$
  farshore-agent service install --data C:\\ProgramData\\Farshore --account "NT SERVICE\\FarshoreAgent"
  farshore-agent service install --data "C:\\ProgramData\\Farshore" --account CORP\\farshore$ --what-if

The site must be registered first (farshore-agent register). An account with a password is not
taken; docs/windows.md says how to make a group managed service account (CORP\\farshore$) and
which rights it needs.`;

const UPGRADE_EXAMPLES = `
Run it from the folder of the new release, and keep the folder of the old one:
  cd "C:\\Program Files\\Farshore\\1.3"
  farshore-agent service upgrade --data "C:\\ProgramData\\Farshore"

When the new release does not get ready the old one is started again. The same command from the
folder of the old release goes back to it later.`;

/** Made by `program`, so that its exit codes hold for these too. */
export function addServiceCommand(program: Command, surroundings: ServiceSurroundings): void {
  const service = program.command('service').description('the agent as a Windows service');
  const add = (name: string, description: string) =>
    service
      .command(name)
      .description(description)
      .requiredOption('--data <dir>', 'the data folder of this agent')
      .option('--name <name>', 'of the service, where a server has more than one', DEFAULT_NAME)
      .option('--json', 'as JSON', false);
  const change = (name: string, description: string) =>
    add(name, description).option('--what-if', 'show what would be done and do nothing', false);

  change('install', 'make the service, or bring it to these settings, and start it')
    .requiredOption('--account <account>', "DOMAIN\\name$ (group managed), or 'NT SERVICE\\<service name>'")
    .addHelpText('after', INSTALL_EXAMPLES)
    .action(async (given: Given & { account: string }) => (await load()).install(given, surroundings));
  change('upgrade', 'let the service run this release from now on')
    .addHelpText('after', UPGRADE_EXAMPLES)
    .action(async (given: Given) => (await load()).upgradeTo(given, surroundings));
  change('uninstall', 'stop and remove the service; the data of the agent stays')
    .addHelpText('after', '\nExample:\n  farshore-agent service uninstall --data "C:\\ProgramData\\Farshore"')
    .action(async (given: Given) => (await load()).uninstall(given, surroundings));
  add('status', 'say how the service stands, and what it starts')
    .addHelpText(
      'after',
      '\nExample:\n  farshore-agent service status --data "C:\\ProgramData\\Farshore" --json\n\nExit code 3: there is no such service.',
    )
    .action(async (given: Given) => (await load()).status(given, surroundings));
}

/** When it is needed: an agent that runs need not hold it. */
const load = () => import('./manage-service.ts');
