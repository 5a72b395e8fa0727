/** The tree of commands of `farshore`. */
import { Argument, Command, Help, type Option } from 'commander';
import { addAccountCommands } from './commands/account-commands.ts';
import { addAdoptionCommands } from './commands/adoption-commands.ts';
import { addDrillCommands } from './commands/drill-commands.ts';
import { addJobCommands } from './commands/job-commands.ts';
import { addPairingCommands } from './commands/pairing-commands.ts';
import { addPlanCommands } from './commands/plan-commands.ts';
import { addProtectionCommands } from './commands/protection-commands.ts';
import { addRecoveryCommands } from './commands/recovery-commands.ts';
import { addReplicationCommands } from './commands/replication-commands.ts';
import { addRuleCommands } from './commands/rule-commands.ts';
import { addSiteCommands } from './commands/site-commands.ts';
import { addVaultCommands } from './commands/vault-commands.ts';
import { completionScript, SHELLS } from './completion.ts';
import { EXIT, EXIT_CODES_HELP } from './exit-codes.ts';
import type { Tree } from './leaf.ts';

const EXAMPLES = `
Names stand wherever ids do. Every command has --json and --help with examples.

From nothing to a failover:
  farshore sign-in kim --address https://dr.example:8443 --ca ca.pem
  farshore sites add Reading && farshore registration-keys create Reading
  farshore pairings create --name main --primary Reading/Production --recovery Slough/Recovery
  farshore protect main --all
  farshore plans apply shop.yaml
  farshore failover --kind unplanned --plan shop --reason "fire in Reading"
  farshore report latest

Environment:
  FARSHORE_TOKEN   an API token, instead of the sign-in that is kept
  FARSHORE_CONFIG  the file that address and sign-in are kept in
`;

/** Without `(default: false)` and `(default: [])`, which tell nobody anything. */
function describe(this: Help, option: Option): string {
  const isOff = option.defaultValue === false || Array.isArray(option.defaultValue);
  return isOff ? option.description : Help.prototype.optionDescription.call(this, option);
}

/** Ends with a thrown CommanderError where commander itself has spoken: help, version, a mistake in the command line. */
export function buildProgram(tree: Tree, version: string): Command {
  const { stdout, stderr } = tree.surroundings;
  const program = new Command('farshore')
    .description('Disaster recovery for Hyper-V clouds: the command line of the Farshore control plane.')
    .version(version)
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .configureHelp({ helpWidth: Math.min(100, stdout.columns || 100), optionDescription: describe })
    .addHelpText('after', EXAMPLES + EXIT_CODES_HELP)
    .showHelpAfterError('(add --help for how it is used)')
    .enablePositionalOptions()
    .exitOverride();
  addAccountCommands(tree, program);
  addVaultCommands(tree, program);
  addSiteCommands(tree, program);
  addPairingCommands(tree, program);
  addProtectionCommands(tree, program);
  addAdoptionCommands(tree, program);
  addRuleCommands(tree, program);
  addPlanCommands(tree, program);
  addRecoveryCommands(tree, program);
  addReplicationCommands(tree, program);
  addDrillCommands(tree, program);
  addJobCommands(tree, program);
  program
    .command('completion')
    .description('print a completion script for the shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(farshore completion bash)\n  farshore completion powershell | Out-String | Invoke-Expression',
    )
    .action((shell: (typeof SHELLS)[number]) => {
      stdout.write(completionScript(program, shell));
      tree.setExitCode(EXIT.ok);
    });
  return program;
}
