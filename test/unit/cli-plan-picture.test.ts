/** A plan as `plans show` draws it: in words of the product, and never wider than a mail or a change request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import colors from 'picocolors';
import { widthOf, wrap } from '../../control-plane/cli/output.ts';
import { planPicture } from '../../control-plane/cli/plan-picture.ts';
import { ResolvedPlanAnswer } from '../../shared/api/plans.ts';
import { PHASES } from '../../shared/domain/protected-vm.ts';
import { Name } from '../../shared/names.ts';
import { uuidOf } from '../support/simulated-sites.ts';

const noColors = colors.createColors(false);
const script = `Move-Name.ps1@${'a'.repeat(64)}`;
const kinds = ['planned', 'unplanned', 'test', 'takeBack', 'changeRecoveryPoint'] as const;

function member(name: string, over: object = {}) {
  return {
    vm: uuidOf(name),
    name,
    phase: 'protected',
    activeLocation: 'primary',
    guestAnswersWithinSeconds: 300,
    dependsOn: [],
    ...over,
  };
}

const action = {
  name: 'move the name',
  do: 'runScript',
  script,
  withinSeconds: 600,
  kinds,
  directions: ['toRecovery', 'toPrimary'],
  delaySeconds: 0,
  onFailure: 'stop',
};

function picture(groups: readonly object[], over: object = {}): string {
  const plan = {
    id: uuidOf('plan'),
    name: 'shop',
    description: '',
    version: 3,
    commitWithinMinutes: null,
    startsPerHost: null,
    drill: null,
    groups,
    problems: [],
    ...over,
  };
  return planPicture(ResolvedPlanAnswer.parse(plan), noColors);
}

test('groups, members and actions stand below each other, with what is to be known of each', () => {
  const groups = [
    { name: 'databases', members: [member('sql-01')], after: [action] },
    { name: 'front', members: [member('web-01', { phase: 'failedOver', guestAnswersWithinSeconds: 0, dependsOn: [uuidOf('sql-01')] })] },
  ];
  assert.equal(
    picture(groups, { description: 'The shop.' }),
    `shop  version 3
The shop.

1 databases
├─ sql-01  protected; its guest answers within 5 min
└─ after the start: move the name
        runs Move-Name.ps1; runs in: planned, unplanned, test, take back, other recovery point;
        within 10 min; if it fails the plan stops

2 front
└─ web-01  failed over; starts after sql-01`,
  );
});

test('it never takes more than a hundred columns, and loses nothing of what it says', () => {
  const long = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }).filter((text) => Name.safeParse(text).data === text);
  fc.assert(
    fc.property(long, long, fc.array(long, { minLength: 1, maxLength: 4 }), (plan, group, names) => {
      const members = names.map((name, index) =>
        member(name, { vm: uuidOf(`${index}`), dependsOn: index === 0 ? [] : [uuidOf('0')], after: [{ ...action, name }] }),
      );
      const ask = { name: plan, do: 'ask', instruction: `${plan} ${group}`.repeat(4) };
      const told = picture([{ name: group, members, before: [ask] }], {
        name: plan,
        description: names.join(' ').repeat(5).slice(0, 2000),
        problems: [{ field: 'groups[0].members[0].vm', message: `no protected VM is called '${group}'` }],
      });
      for (const line of told.split('\n')) assert.ok(widthOf(line) <= 100, `${widthOf(line)}: ${line}`);
      const squeezed = (text: string) => text.replace(/[\s│├└─]/g, '');
      for (const text of [plan, group, ...names]) assert.ok(squeezed(told).includes(squeezed(text)), text);
    }),
    { numRuns: 150 },
  );
});

test('a phase is told in words', () => {
  for (const phase of PHASES) {
    const told = picture([{ name: 'all', members: [member('sql-01', { phase })] }]);
    if (/[A-Z]/.test(phase)) assert.ok(!told.includes(phase), told);
    assert.match(told, /sql-01 {2}[a-z ]+; its guest/);
  }
});

test('a text is broken between its words, and a word that is too long where it has to be', () => {
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
  assert.deepEqual(wrap('abcdefghij k', 4), ['abcd', 'efgh', 'ij k']);
  assert.deepEqual(wrap('', 4), ['']);
  assert.deepEqual(wrap('🏠🏠🏠', 4), ['🏠🏠', '🏠']);
  assert.deepEqual(wrap('東京', 1), ['東', '京']);
});
