/** Commands: pairings of clouds, their policy and their network map. */
import type { Command } from 'commander';
import type { z } from 'zod';
import type { PairingAnswer } from '../../../shared/api/protection.ts';
import { readDocument } from '../../../shared/document.ts';
import { defaultPolicy, PolicyChange, ProtectionPolicy } from '../../../shared/domain/policy.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import type { SiteId } from '../../../shared/ids.ts';
import type { Client } from '../client.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { byNameOrId, cloudNames, networkNames, pick } from '../names.ts';
import { type Output, plain, table } from '../output.ts';
import { type FollowOptions, runOperation, withFollow } from '../run-operation.ts';
import { readText } from '../session.ts';

interface PairOptions extends FollowOptions {
  readonly name: string;
  readonly primary: string;
  readonly recovery: string;
  readonly map: readonly string[];
  readonly policy?: string;
}

interface DeletesOptions {
  readonly deleteRecoveryPoints?: string;
}

interface ChangeOptions extends FollowOptions, DeletesOptions {
  readonly policy?: string;
  readonly map: readonly string[];
}

const DELETES = [
  '--delete-recovery-points <reason>',
  'fewer are kept from now on, and those beyond are deleted: why that is right',
] as const;

const deletesOf = ({ deleteRecoveryPoints: reason }: DeletesOptions) => (reason === undefined ? {} : { deleteRecoveryPoints: { reason } });

interface MoveOptions extends FollowOptions {
  readonly to: string;
  readonly reason: string;
  readonly force: boolean;
}

export function addPairingCommands(tree: Tree, program: Command): void {
  const pairings = program.command('pairings').description('pairings: primary cloud -> recovery cloud');
  addLeaf(tree, pairings, {
    usage: 'list',
    about: 'list the pairings',
    examples: ['farshore pairings list'],
    run: async (session) => {
      session.output.show(await session.client().call('listPairings'), (answer) => pairingTable(answer.pairings, session.output));
      return undefined;
    },
  });
  addLeaf(tree, pairings, {
    usage: 'create',
    about: 'pair two clouds: all hosts of both are prepared to replicate with each other',
    examples: [
      'farshore pairings create --name main --primary Reading/Production --recovery Slough/Recovery --map "Front=Front DR"',
      'farshore pairings create --name main --primary Reading/Production --recovery Slough/Recovery --policy policy.yaml',
    ],
    configure: (command) =>
      withFollow(
        command
          .requiredOption('--name <name>', 'name of the pairing')
          .requiredOption('--primary <site/cloud>', 'where the VMs run')
          .requiredOption('--recovery <site/cloud>', 'where they are recovered')
          .option('--map <network=network>', 'primary VM network = recovery VM network; once for each', collect, [])
          .option('--policy <file>', 'protection policy (YAML); the defaults where it says nothing'),
      ),
    run: async (session, options: PairOptions) => {
      const policy = options.policy === undefined ? defaultPolicy : readPolicyText(options.policy, ProtectionPolicy);
      const client = session.client();
      const { clouds } = await client.call('listClouds');
      const primary = pick(options.primary, clouds, 'cloud', cloudNames);
      const recovery = pick(options.recovery, clouds, 'cloud', cloudNames);
      const networks = await networkMap(client, options.map, primary.siteId, recovery.siteId);
      const end = ({ siteId, id }: typeof primary) => ({ siteId, cloudId: id });
      return runOperation(
        session,
        client,
        { kind: 'pair', name: options.name, primary: end(primary), recovery: end(recovery), policy, networks },
        options,
      );
    },
  });
  addLeaf(tree, pairings, {
    usage: 'change <pairing>',
    about: 'change the policy or the network map of a pairing, and of all VMs that replicate under it',
    examples: [
      'farshore pairings change main --policy policy.yaml',
      'farshore pairings change main --map "Front=Front DR" --map "Back=Back DR"',
      'farshore pairings change main --policy fewer.yaml --delete-recovery-points "the storage is full"',
    ],
    configure: (command) =>
      withFollow(
        command
          .option('--policy <file>', 'what of the policy is to be another (YAML); what it does not name stays')
          .option('--map <network=network>', 'the whole network map from now on; once for each', collect, [])
          .option(...DELETES),
      ),
    run: async (session, options: ChangeOptions, name: string) => {
      if (options.policy === undefined && options.map.length === 0)
        throw new FarshoreError('ERR_REQUEST_INVALID', 'say what is to change: --policy, --map, or both');
      const policy = options.policy === undefined ? {} : { policy: readPolicyText(options.policy, PolicyChange) };
      const client = session.client();
      const { id, primary, recovery } = await findPairing(client, name);
      const networks = options.map.length === 0 ? {} : { networks: await networkMap(client, options.map, primary.siteId, recovery.siteId) };
      return runOperation(session, client, { kind: 'changePairing', pairing: id, ...policy, ...networks, ...deletesOf(options) }, options);
    },
  });
  addLeaf(tree, pairings, {
    usage: 'apply <pairing>',
    about: 'set the policy and the networks of a pairing at the VMs that are behind it',
    examples: ['farshore pairings apply main'],
    configure: (command) => withFollow(command.option(...DELETES)),
    run: async (session, options: FollowOptions & DeletesOptions, name: string) => {
      const client = session.client();
      const { id } = await findPairing(client, name);
      return runOperation(session, client, { kind: 'changePairing', pairing: id, ...deletesOf(options) }, options);
    },
  });
  addMove(tree, pairings);
  addRemove(tree, pairings);
}

function addMove(tree: Tree, pairings: Command): void {
  addLeaf(tree, pairings, {
    usage: 'move <pairing>',
    about: 'move the VMs of a pairing to another one of the same cloud; until each has been copied there, nothing protects it',
    examples: [
      'farshore pairings move main --to bath --reason "Slough is given up in March"',
      'farshore pairings move main --to bath --reason "Slough burned down" --force',
    ],
    configure: (command) =>
      withFollow(
        command
          .requiredOption('--to <pairing>', 'a pairing of the same primary cloud with another recovery cloud; make it first')
          .requiredOption('--reason <text>', 'why; kept with the job')
          .option('--force', 'although the old recovery site is away: the job goes on with what is left there when it is back', false),
      ),
    run: async (session, options: MoveOptions, name: string) => {
      const client = session.client();
      const [from, to] = [await findPairing(client, name), await findPairing(client, options.to)];
      const { rules } = await client.call('listRules');
      const moving = rules.filter(({ pairing, removedAt }) => pairing.id === from.id && removedAt === null);
      const wish = { kind: 'movePairing' as const, pairing: from.id, to: to.id, reason: options.reason };
      // It may wait for a site that never comes back: nobody wants to sit and watch that.
      const follow = options.follow && !options.force;
      const code = await runOperation(session, client, options.force ? { ...wish, forced: true } : wish, { follow });
      if (moving.length > 0)
        session.output.note(`these rules hold for ${plain(to.name)} now: ${moving.map(({ text }) => plain(text)).join(', ')}`);
      return code;
    },
  });
}

function addRemove(tree: Tree, pairings: Command): void {
  addLeaf(tree, pairings, {
    usage: 'remove <pairing>',
    about: 'remove a pairing in which no VM is protected and that no rule uses: the hosts of both clouds are released from it',
    examples: ['farshore pairings remove main', 'farshore pairings remove main --force "Slough is rebuilt from scratch"'],
    configure: (command) =>
      withFollow(command).option(
        '--force <reason>',
        'although a side is away: the job stays open until its hosts are released when it is back, or you gave the site up (farshore jobs give-up), cleaned them by hand and skipped the step; until then the name stays taken',
      ),
    run: async (session, options: FollowOptions & { force?: string }, name: string) => {
      const client = session.client();
      const { force: reason } = options;
      const forced = reason === undefined ? {} : { forced: { reason } };
      const wish = { kind: 'unpair' as const, pairing: (await findPairing(client, name)).id, ...forced };
      // It may wait for a site that never comes back: nobody wants to sit and watch that.
      return runOperation(session, client, wish, { follow: options.follow && reason === undefined });
    },
  });
}

const readPolicyText = <S extends z.ZodType>(file: string, schema: S): z.infer<S> =>
  readDocument(readText(file, 'the policy'), file, schema);

/** Entries as `network=network`, the primary one first. */
async function networkMap(client: Client, entries: readonly string[], primary: SiteId, recovery: SiteId) {
  const { networks: all } = await client.call('listNetworks');
  const at = (siteId: SiteId) => all.filter((network) => network.siteId === siteId);
  return entries.map((entry) => {
    const [from = '', to = '', ...more] = entry.split('=').map((part) => part.trim());
    if (from === '' || to === '' || more.length > 0)
      throw new FarshoreError('ERR_REQUEST_INVALID', `--map wants network=network, not '${entry}'`);
    return {
      from: pick(from, at(primary), 'VM network of the primary site', networkNames).id,
      to: pick(to, at(recovery), 'VM network of the recovery site', networkNames).id,
    };
  });
}

function collect(entry: string, all: readonly string[]): string[] {
  return [...all, entry];
}

export async function findPairing(client: Client, wanted: string): Promise<PairingAnswer> {
  const { pairings } = await client.call('listPairings');
  return pick(wanted, pairings, 'pairing', byNameOrId);
}

function pairingTable(pairings: readonly PairingAnswer[], { colors }: Output): string {
  const end = ({ siteName, cloudName }: PairingAnswer['primary']) => plain(`${siteName}/${cloudName}`);
  const rows = pairings.map(({ name, state, primary, recovery, networks, policy }) => [
    plain(name),
    state,
    end(primary),
    end(recovery),
    networks.map(({ from, to }) => plain(`${from.name}=${to.name}`)).join(', ') || '-',
    `${policy.copyFrequencySeconds} s`,
  ]);
  return table(
    ['PAIRING', 'STATE', 'PRIMARY', 'RECOVERY', 'NETWORKS', 'COPIES EVERY'],
    rows,
    'no pairings; make one with: farshore pairings create',
    colors,
  );
}
