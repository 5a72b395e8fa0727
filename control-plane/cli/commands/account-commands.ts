/** Commands: set-up, signing in and out, users and tokens. */
import type { Command } from 'commander';
import type { RouteAnswer } from '../../../shared/api/routes.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import { Client } from '../client.ts';
import { type CliConfig, readConfig, writeConfig } from '../config.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { byNameOrId, pick } from '../names.ts';
import { moment, plain, table } from '../output.ts';
import { SecretInput } from '../secret-input.ts';
import { readText, type Session } from '../session.ts';
import { wholeNumber } from '../whole-number.ts';

interface Where {
  readonly address?: string;
  readonly ca?: string;
}

const withAddress = (command: Command) =>
  command
    .option('--address <url>', 'https://host:port of the control plane; kept for the next time')
    .option('--ca <file>', "the authority that its certificate must come from (PEM); without it, the machine's own");

export function addAccountCommands(tree: Tree, program: Command): void {
  addLeaf(tree, program, {
    usage: 'set-up',
    about:
      'make the vault and its owner with the link that the server printed, and sign in; asks for link and password, or takes them from standard input, one a line',
    examples: ['farshore set-up --address https://dr.example:8443 --ca ca.pem --vault Northgate --owner kim'],
    configure: (command) =>
      withAddress(command).requiredOption('--vault <name>', 'name of the vault').requiredOption('--owner <name>', 'user name of the owner'),
    run: async (session, options: Where & { vault: string; owner: string }) => {
      const config = whereOf(session, options);
      const input = new SecretInput(session.surroundings);
      const link = await input.ask('Set-up link or secret');
      const password = await input.ask('Password of the owner');
      input.close();
      const secret = link.slice(link.indexOf('#') + 1);
      await new Client(config).call('setUp', { body: { secret, vaultName: options.vault, ownerName: options.owner, password } });
      return signIn(session, config, options.owner, password);
    },
  });

  addLeaf(tree, program, {
    usage: 'sign-in <name>',
    about: 'sign in with a password, asked for or taken from standard input',
    examples: ['farshore sign-in kim --address https://dr.example:8443 --ca ca.pem', 'farshore sign-in kim < password.txt'],
    configure: withAddress,
    run: async (session, options: Where, name: string) => {
      const input = new SecretInput(session.surroundings);
      const config = whereOf(session, options);
      const password = await input.ask(`Password of ${name}`);
      input.close();
      return signIn(session, config, name, password);
    },
  });

  addLeaf(tree, program, {
    usage: 'connect',
    about: 'use an API token, from a file, standard input or FARSHORE_TOKEN',
    examples: ['farshore connect --address https://dr.example:8443 --ca ca.pem --token-file token.txt'],
    configure: (command) => withAddress(command).option('--token-file <file>', 'file with the token'),
    run: async (session, options: Where & { tokenFile?: string }) => {
      const config = whereOf(session, options);
      const { FARSHORE_TOKEN: given } = session.surroundings.environment;
      const input = new SecretInput(session.surroundings);
      const secret =
        options.tokenFile === undefined ? (given ?? (await input.ask('Token'))) : readText(options.tokenFile, 'the file with the token');
      input.close();
      return keep(session, { ...config, secret: secret.trim() });
    },
  });

  addLeaf(tree, program, {
    usage: 'sign-out',
    about: 'end the sign-in',
    examples: ['farshore sign-out'],
    run: async (session) => {
      await session.client().call('signOut');
      const config = readConfig(session.surroundings);
      if (config) writeConfig(session.surroundings, { ...config, secret: null });
      session.output.show({ signedIn: false }, () => 'signed out');
      return undefined;
    },
  });

  addLeaf(tree, program, {
    usage: 'whoami',
    about: 'say who is signed in, where, and with which role',
    examples: ['farshore whoami', 'farshore whoami --json'],
    run: async (session) => {
      const client = session.client();
      session.output.show(await client.call('whoAmI'), (who) => whoWords(who, client.address));
      return undefined;
    },
  });

  addUserCommands(tree, program);
  addTokenCommands(tree, program);
}

function addUserCommands(tree: Tree, program: Command): void {
  const users = program.command('users').description('people of the vault');
  addLeaf(tree, users, {
    usage: 'list',
    about: 'list the users',
    examples: ['farshore users list'],
    run: async (session) => {
      session.output.show(await session.client().call('listUsers'), (answer) =>
        table(
          ['NAME', 'ROLE', 'SINCE'],
          answer.users.map(({ name, role, createdAt }) => [name, role, moment(createdAt)]),
          'no users',
          session.output.colors,
        ),
      );
      return undefined;
    },
  });
  addLeaf(tree, users, {
    usage: 'add <name>',
    about: 'add an operator or a viewer; the password is asked for or taken from standard input',
    examples: ['farshore users add sam --role operator'],
    configure: (command) => command.requiredOption('--role <role>', 'operator or viewer'),
    run: async (session, options: { role: 'operator' | 'viewer' }, name: string) => {
      const input = new SecretInput(session.surroundings);
      const password = await input.ask(`Password of ${name}`);
      input.close();
      const user = await session.client().call('addUser', { body: { name, role: options.role, password } });
      session.output.show(user, () => `${user.name} can sign in as ${user.role}`);
      return undefined;
    },
  });
}

function addTokenCommands(tree: Tree, program: Command): void {
  const tokens = program.command('tokens').description('API tokens: for scripts and other programs');
  addLeaf(tree, tokens, {
    usage: 'list',
    about: 'list the tokens',
    examples: ['farshore tokens list'],
    run: async (session) => {
      session.output.show(await session.client().call('listTokens'), ({ tokens: all }) => {
        const rows = all.map(({ id, name, role, user, expiresAt }) => [id, plain(name), role, user, moment(expiresAt)]);
        return table(['ID', 'NAME', 'ROLE', 'USER', 'ENDS'], rows, 'no tokens', session.output.colors);
      });
      return undefined;
    },
  });
  addLeaf(tree, tokens, {
    usage: 'create <name>',
    about: 'make a token; it is shown this once',
    examples: ['farshore tokens create nightly --role viewer --days 30'],
    configure: (command) =>
      command
        .requiredOption('--role <role>', 'owner, operator or viewer; at most your own')
        .option('--days <n>', 'how long it is good', wholeNumber),
    run: async (session, options: { role: 'owner' | 'operator' | 'viewer'; days?: number }, name: string) => {
      const body = { name, role: options.role, ...(options.days === undefined ? {} : { days: options.days }) };
      const token = await session.client().call('makeToken', { body });
      session.output.note(`token ${token.name} (${token.role}), good until ${moment(token.expiresAt)}; it is shown this once:`);
      session.output.show(token, () => token.secret);
      return undefined;
    },
  });
  addLeaf(tree, tokens, {
    usage: 'revoke <token>',
    about: 'end a token, by name or id',
    examples: ['farshore tokens revoke nightly'],
    run: async (session, _options: object, wanted: string) => {
      const client = session.client();
      const { tokens: all } = await client.call('listTokens');
      const token = pick(wanted, all, 'token', byNameOrId);
      await client.call('revokeToken', { params: { tokenId: token.id } });
      session.output.show({ revoked: token.id }, () => `token ${token.name} is revoked`);
      return undefined;
    },
  });
}

/** What was given, beside what is kept. Throws ERR_REQUEST_INVALID where no address is known. */
function whereOf({ surroundings }: Session, { address, ca }: Where): CliConfig {
  const kept = readConfig(surroundings);
  const used = address ?? kept?.address;
  if (used === undefined) throw new FarshoreError('ERR_REQUEST_INVALID', 'say where the control plane is: --address https://host:port');
  if (!URL.canParse(used) || new URL(used).protocol !== 'https:')
    throw new FarshoreError('ERR_REQUEST_INVALID', `--address is no https:// address: ${used}`);
  const isSame = address === undefined || address === kept?.address;
  const authority = ca === undefined ? (isSame ? (kept?.ca ?? null) : null) : readText(ca, 'the file with the authority');
  return { address: used, ca: authority, secret: null };
}

async function signIn(session: Session, config: CliConfig, name: string, password: string): Promise<undefined> {
  const { secret } = await new Client(config).call('signIn', { body: { name, password, as: 'bearer' } });
  return keep(session, { ...config, secret });
}

async function keep(session: Session, config: CliConfig): Promise<undefined> {
  const who = await new Client(config).call('whoAmI');
  const file = writeConfig(session.surroundings, config);
  session.output.show(who, () => `${whoWords(who, config.address)}\nkept in ${file}`);
  return undefined;
}

function whoWords({ user, role, vault, kind, expiresAt }: RouteAnswer<'whoAmI'>, address: string): string {
  return `${user.name} (${role}) in vault ${plain(vault.name)} at ${address}, by ${kind} until ${moment(expiresAt)}`;
}
