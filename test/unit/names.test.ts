/** Names hold no character that nobody sees, wherever they are accepted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { z } from 'zod';
import { HyperVConfig } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { SiteFile } from '../../provider-agent/fabric/simulated/site-file.ts';
import { NewTokenBody, SetupBody } from '../../shared/api/accounts.ts';
import { OperationRequest } from '../../shared/api/operations.ts';
import { NewSiteBody } from '../../shared/api/sites.ts';
import { formatProblems, readDocument, writeDocument } from '../../shared/document.ts';
import { RuleMatch } from '../../shared/domain/protection-rules.ts';
import { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { nameUpTo } from '../../shared/names.ts';

const [NUL, ESC, RIGHT_TO_LEFT] = ['\u0000', '\u001b', '\u202e'];

const plan = (over: object, member: object = {}) => ({
  name: 'shop',
  groups: [{ name: 'all', members: [{ vm: 'web-01', ...member }], ...over }],
});
const hyperv = (over: object, cloud: object = {}) => ({
  kind: 'hyperv',
  name: 'Reading',
  clouds: [{ name: 'Gold', hosts: ['hv1.example.org'], replicaStorage: 'D:\\replicas', ...cloud }],
  ...over,
});

/** Where a name is given, and the document with the bad name in it. */
const places: readonly (readonly [where: string, schema: z.ZodType, of: (name: string) => unknown])[] = [
  ['a plan', RecoveryPlan, (name) => ({ ...plan({}), name })],
  ['a group', RecoveryPlan, (name) => plan({ name })],
  ['a member', RecoveryPlan, (vm) => plan({}, { vm })],
  ['what a member depends on', RecoveryPlan, (other) => plan({}, { dependsOn: [other] })],
  ['an action', RecoveryPlan, (name) => plan({ before: [{ do: 'ask', name, instruction: 'Look.' }] })],
  ['the guest of an action', RecoveryPlan, (vm) => plan({ after: [{ do: 'waitForGuest', name: 'it is up', vm }] })],
  ['a network of a schedule', RecoveryPlan, (name) => ({ ...plan({}), drill: { everyDays: 90, standsMinutes: 0, networks: [name] } })],
  ['a pairing', OperationRequest, (name) => ({ kind: 'pair', name })],
  ['a site', NewSiteBody, (name) => ({ name })],
  ['a token', NewTokenBody, (name) => ({ name })],
  ['a vault', SetupBody, (vaultName) => ({ vaultName })],
  ['a user', SetupBody, (ownerName) => ({ ownerName })],
  ['the names a rule takes', RuleMatch, (pattern) => ({ by: 'name', pattern })],
  ['the tag a rule takes', RuleMatch, (tag) => ({ by: 'tag', tag })],
  ['a site file', SiteFile, (name) => ({ name })],
  [
    'a VM of a site file',
    SiteFile,
    (name) => ({ vms: [{ name, cloud: 'Gold', cores: 1, memory: '1 GB', disks: [{ size: '1 GB', storage: 'Gold' }] }] }),
  ],
  ['a site of Hyper-V hosts', HyperVConfig, (name) => hyperv({ name })],
  ['a cloud of Hyper-V hosts', HyperVConfig, (name) => hyperv({}, { name })],
  ['a network of Hyper-V hosts', HyperVConfig, (name) => hyperv({ networks: [{ name, subnets: [] }] })],
];

function toldOf(schema: z.ZodType, document: unknown): string {
  try {
    readDocument(writeDocument(document), 'x.yaml', schema);
    return '';
  } catch (thrown) {
    assert.ok(thrown instanceof FarshoreError);
    return formatProblems(thrown);
  }
}

for (const [where, schema, of] of places)
  test(`the name of ${where} with a character that nobody sees is refused: what, where and what is allowed`, () => {
    for (const bad of [`a${NUL}b`, `${ESC}[31mb`, `a${RIGHT_TO_LEFT}b`, 'a\nb', 'a\u009bb']) {
      assert.match(
        toldOf(schema, of(bad)),
        /^x\.yaml:\d+:\d+ .*(nobody sees: U\+[0-9A-F]{4} \(allowed: |does not have the right form \(allowed: letters)/ms,
      );
    }
    assert.doesNotMatch(toldOf(schema, of('büro-01')).replaceAll('ownerName', ''), /nobody sees/);
  });

test('a name says which characters nobody sees, each once', () => {
  const { error } = nameUpTo(20).safeParse(`${ESC}a${NUL}b${ESC}`);
  assert.deepEqual(
    error?.issues.map(({ message }) => message),
    ['has a character in it that nobody sees: U+001B, U+0000'],
  );
  assert.equal(nameUpTo(20).parse('  Büro 東京 🏠 '), 'Büro 東京 🏠');
});
