/** Commands: sites, registration keys, and what the sites report. */
import type { Command } from 'commander';
import type { SiteAnswer } from '../../../shared/api/sites.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import type { Client } from '../client.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { byNameOrId, pick } from '../names.ts';
import { duration, moment, plain, table } from '../output.ts';
import { wholeNumber } from '../whole-number.ts';

export function addSiteCommands(tree: Tree, program: Command): void {
  const sites = program.command('sites').description('sites: each with a provider agent of its own');
  addLeaf(tree, sites, {
    usage: 'list',
    about: 'list the sites and whether their agents are connected',
    examples: ['farshore sites list'],
    run: async (session) => {
      const { colors } = session.output;
      session.output.show(await session.client().call('listSites'), (answer) => {
        const now = session.surroundings.clock.now();
        const rows = answer.sites.map((site) => [
          plain(site.name),
          connection(site, now),
          plain(site.agent?.version ?? '-'),
          moment(site.agent?.certificateEndsAt ?? null),
        ]);
        return table(['SITE', 'AGENT', 'VERSION', 'CERTIFICATE ENDS'], rows, 'no sites; add one with: farshore sites add NAME', colors);
      });
      return undefined;
    },
  });
  addLeaf(tree, sites, {
    usage: 'add <name>',
    about: 'add a site',
    examples: ['farshore sites add Reading'],
    run: async (session, _options: object, name: string) => {
      const site = await session.client().call('addSite', { body: { name } });
      session.output.show(site, () => `site ${plain(site.name)} is there; next: farshore registration-keys create ${quoted(site.name)}`);
      return undefined;
    },
  });
  addLeaf(tree, sites, {
    usage: 'revoke-agent <site>',
    about: 'revoke the agent of a site: it is cut off and must be registered anew',
    examples: ['farshore sites revoke-agent Reading'],
    run: async (session, _options: object, name: string) => {
      const client = session.client();
      const site = await findSite(client, name);
      if (site.agent === null)
        throw new FarshoreError('ERR_REQUEST_INVALID', `no agent is registered for ${plain(site.name)}: there is none to revoke`);
      await client.call('revokeAgent', { params: { agentId: site.agent.id } });
      session.output.show({ revoked: site.agent.id }, () => `the agent of ${plain(site.name)} is revoked`);
      return undefined;
    },
  });

  const keys = program.command('registration-keys').description('keys that register an agent for a site, once each');
  addLeaf(tree, keys, {
    usage: 'create <site>',
    about: 'make a registration key; it is shown this once',
    examples: ['farshore registration-keys create Reading', 'farshore registration-keys create Reading --hours 4 > key.txt'],
    configure: (command) => command.option('--hours <n>', 'how long it may be used: 1 to 120, 24 when not said', wholeNumber),
    run: async (session, options: { hours?: number }, name: string) => {
      const client = session.client();
      const site = await findSite(client, name);
      const made = await client.call('makeRegistrationKey', {
        params: { siteId: site.id },
        body: options.hours === undefined ? {} : { hours: options.hours },
      });
      session.output.note(`registration key of ${plain(site.name)}, works once, until ${moment(made.expiresAt)}; at the site:`);
      session.output.note('  farshore-agent register --data DIR --key-file FILE');
      session.output.show(made, () => made.key);
      return undefined;
    },
  });
  addLeaf(tree, keys, {
    usage: 'list <site>',
    about: 'list the keys made for a site, without their secrets',
    examples: ['farshore registration-keys list Reading'],
    run: async (session, _options: object, name: string) => {
      const client = session.client();
      const site = await findSite(client, name);
      session.output.show(await client.call('listRegistrationKeys', { params: { siteId: site.id } }), (answer) => {
        const rows = answer.registrationKeys.map((key) => [
          key.state,
          moment(key.createdAt),
          key.createdBy,
          moment(key.expiresAt),
          moment(key.usedAt),
        ]);
        return table(['STATE', 'MADE', 'BY', 'ENDS', 'USED'], rows, 'no keys', session.output.colors);
      });
      return undefined;
    },
  });
  addInventoryCommands(tree, program);
}

function addInventoryCommands(tree: Tree, program: Command): void {
  const clouds = program.command('clouds').description('clouds that the sites have reported');
  addLeaf(tree, clouds, {
    usage: 'list',
    about: 'list the clouds',
    examples: ['farshore clouds list'],
    run: async (session) => {
      session.output.show(await session.client().call('listClouds'), (answer) =>
        table(
          ['SITE', 'CLOUD'],
          answer.clouds.map(({ siteName, name }) => [plain(siteName), plain(name)]),
          'no site has reported a cloud',
          session.output.colors,
        ),
      );
      return undefined;
    },
  });
  const networks = program.command('networks').description('VM networks that the sites have reported');
  addLeaf(tree, networks, {
    usage: 'list',
    about: 'list the VM networks',
    examples: ['farshore networks list'],
    run: async (session) => {
      session.output.show(await session.client().call('listNetworks'), (answer) => {
        const rows = answer.networks.map(({ siteName, name }) => [plain(siteName), plain(name)]);
        return table(['SITE', 'NETWORK'], rows, 'no site has reported a VM network', session.output.colors);
      });
      return undefined;
    },
  });
}

export async function findSite(client: Client, wanted: string): Promise<SiteAnswer> {
  const { sites } = await client.call('listSites');
  return pick(wanted, sites, 'site', byNameOrId);
}

function connection({ isConnected, lastHeardAt, agent }: SiteAnswer, now: number): string {
  if (isConnected) return 'connected';
  if (agent === null) return 'not registered';
  return lastHeardAt === null ? 'never heard' : `gone for ${duration(Math.floor((now - Date.parse(lastHeardAt)) / 1000))}`;
}

const quoted = (name: string) => (/^[\w.-]+$/.test(name) ? name : `"${name}"`);
