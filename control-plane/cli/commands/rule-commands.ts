/** Commands: protection rules, what one would take, and the VMs that no rule takes. */
import type { Command } from 'commander';
import type { RuleAnswer, RuleExclusionAnswer, RulePreviewAnswer } from '../../../shared/api/rules.ts';
import type { RuleMatch } from '../../../shared/domain/protection-rules.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import type { Client } from '../client.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { byNameOrId, pick } from '../names.ts';
import { moment, type Output, plain, table } from '../output.ts';
import { findPairing } from './pairing-commands.ts';

interface MatchOptions {
  readonly all: boolean;
  readonly name?: string;
  readonly tag?: string;
}

const withMatch = (command: Command) =>
  command
    .option('--all', 'every VM of the primary cloud', false)
    .option('--name <pattern>', "VMs by name, '*' for anything and '?' for one character")
    .option('--tag <tag>', 'VMs that are tagged so at their site; a site tells of a tag only once a rule names it');

export function addRuleCommands(tree: Tree, program: Command): void {
  const rules = program.command('rules').description('protection rules: VMs that fit are protected by themselves, now and later');
  addLeaf(tree, rules, {
    usage: 'list',
    about: 'list the rules',
    examples: ['farshore rules list', 'farshore rules list --removed'],
    configure: (command) => command.option('--removed', 'also those that were removed', false),
    run: async (session, { removed }: { removed: boolean }) => {
      const { rules: all } = await session.client().call('listRules');
      const shown = { rules: all.filter(({ removedAt }) => removed || removedAt === null) };
      session.output.show(shown, (answer) => ruleTable(answer.rules, session.output));
      return undefined;
    },
  });
  addLeaf(tree, rules, {
    usage: 'add <pairing>',
    about: 'protect every VM of the primary cloud that fits, now and whenever one appears',
    examples: ["farshore rules add main --name 'web-*'", 'farshore rules add main --tag gold', 'farshore rules add main --all'],
    configure: withMatch,
    run: async (session, options: MatchOptions, wanted: string) => {
      const client = session.client();
      const rule = await client.call('addRule', { body: await ruleOf(client, wanted, options) });
      session.output.show(
        rule,
        ({ id, text, pairing }) => `rule ${id}: ${plain(text)} of ${plain(pairing.name)} are protected from now on`,
      );
      return undefined;
    },
  });
  addLeaf(tree, rules, {
    usage: 'preview <pairing>',
    about: 'say what a rule would do with each VM now, without adding it',
    examples: ["farshore rules preview main --name 'web-*'", 'farshore rules preview main --all'],
    configure: withMatch,
    run: async (session, options: MatchOptions, wanted: string) => {
      const client = session.client();
      const answer = await client.call('previewRule', { body: await ruleOf(client, wanted, options) });
      session.output.show(answer, ({ vms, isTold }) => (isTold ? previewTable(vms, session.output) : NOT_TOLD));
      return undefined;
    },
  });
  addLeaf(tree, rules, {
    usage: 'remove <rule>',
    about: 'remove a rule; what it protected stays protected',
    examples: ['farshore rules remove 3f0c6e1e'],
    run: async (session, _options, wanted: string) => {
      const client = session.client();
      const held = (await client.call('listRules')).rules.filter(({ removedAt }) => removedAt === null);
      const rule = pick(wanted, held, 'rule', ({ id, text }) => [text, id.slice(0, 8), id]);
      await client.call('removeRule', { params: { ruleId: rule.id } });
      session.output.show({ removed: rule.id }, () => `the rule is removed; what it protected stays protected`);
      return undefined;
    },
  });
  addExclusionCommands(tree, rules);
}

function addExclusionCommands(tree: Tree, rules: Command): void {
  addLeaf(tree, rules, {
    usage: 'excluded',
    about: 'list the VMs that no rule takes, because a person took them out of protection',
    examples: ['farshore rules excluded'],
    run: async (session) => {
      session.output.show(await session.client().call('listRuleExclusions'), (answer) => exclusionTable(answer.exclusions, session.output));
      return undefined;
    },
  });
  addLeaf(tree, rules, {
    usage: 'exclude <pairing> <vm>',
    about: 'take a VM of the primary cloud out of the reach of every rule; a protection that it has stays',
    examples: ['farshore rules exclude main scratch-01'],
    run: async (session, _options, wanted: string, name: string) => {
      const client = session.client();
      const { siteId, cloudId } = (await findPairing(client, wanted)).primary;
      const { vms } = await client.call('listSiteVms', { params: { siteId }, query: { cloud: cloudId } });
      const vm = pick(name, vms, 'VM', byNameOrId);
      await client.call('excludeFromRules', { params: { vmId: vm.id } });
      session.output.show({ excluded: vm.id }, () => `no rule takes ${plain(vm.name)}`);
      return undefined;
    },
  });
  addLeaf(tree, rules, {
    usage: 'lift <vm>',
    about: 'let rules take a VM again that was excluded',
    examples: ['farshore rules lift scratch-01'],
    run: async (session, _options, name: string) => {
      const client = session.client();
      const { exclusions } = await client.call('listRuleExclusions');
      const vm = pick(name, exclusions, 'VM that rules leave alone', (one) => [one.name, one.vmId]);
      await client.call('liftRuleExclusion', { params: { vmId: vm.vmId } });
      session.output.show({ lifted: vm.vmId }, () => `rules may take ${plain(vm.name)} again`);
      return undefined;
    },
  });
}

const NOT_TOLD = 'no rule names this tag yet, and a site tells of a tag only once one does: it cannot be said which VMs have it';

async function ruleOf(client: Client, pairing: string, { all, name, tag }: MatchOptions) {
  const matches: RuleMatch[] = [
    ...(all ? [{ by: 'all' as const }] : []),
    ...(name === undefined ? [] : [{ by: 'name' as const, pattern: name }]),
    ...(tag === undefined ? [] : [{ by: 'tag' as const, tag }]),
  ];
  const [match, ...more] = matches;
  if (match === undefined || more.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', 'say one of --all, --name and --tag');
  return { pairing: (await findPairing(client, pairing)).id, match };
}

function ruleTable(rules: readonly RuleAnswer[], { colors }: Output): string {
  const rows = rules.map((rule) => [
    rule.id.slice(0, 8),
    plain(rule.pairing.name),
    plain(rule.text),
    `${plain(rule.createdBy)}, ${moment(rule.createdAt)}`,
    rule.removedAt === null ? 'holds' : `removed by ${plain(rule.removedBy ?? '')}, ${moment(rule.removedAt)}`,
  ]);
  return table(['RULE', 'PAIRING', 'PROTECTS', 'BY', 'STATE'], rows, 'no rules; add one with: farshore rules add', colors);
}

function previewTable(vms: RulePreviewAnswer['vms'], { colors }: Output): string {
  const words = { takes: 'is protected', waits: 'waits', passes: 'is left alone' };
  const rows = vms.map(({ name, verdict, why, until }) => [
    plain(name),
    words[verdict],
    plain(why) + (until === null ? '' : `; again at ${moment(until)}`),
  ]);
  return table(['VM', 'WITH THE RULE', 'WHY'], rows, 'no VM of the primary cloud fits', colors);
}

function exclusionTable(exclusions: readonly RuleExclusionAnswer[], { colors }: Output): string {
  const rows = exclusions.map(({ name, by, at, jobId }) => [
    plain(name),
    `${plain(by)}, ${moment(at)}`,
    jobId === null ? 'said so' : `job ${jobId.slice(0, 8)}`,
  ]);
  return table(['VM', 'BY', 'HOW'], rows, 'rules may take every VM', colors);
}
