import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { distanceMs, isNamed, judge, type RuleSurroundings, TAGS_MOST, tagsNamed } from '../../shared/domain/protection-rules.ts';
import type { VmId } from '../../shared/ids.ts';

test('a name fits a pattern as a person reads it', () => {
  for (const [name, pattern] of [
    ['web-01', 'web-*'],
    ['WEB-01', 'web-*'],
    ['web-01', '*'],
    ['web-01', '*01'],
    ['web-01', 'w?b-0?'],
    ['web-01', '*-*'],
    ['web-01', 'web-01'],
    ['web-01', '**web**01**'],
    ['a.b', 'a.b'],
    ['aab', '*ab'],
  ] as const)
    assert.ok(isNamed(name, pattern), `${name} ${pattern}`);
  for (const [name, pattern] of [
    ['web-01', 'web'],
    ['web-01', 'sql-*'],
    ['web-01', 'web-01?'],
    ['axb', 'a.b'],
    ['web-01', '?'],
    ['', '?'],
  ] as const)
    assert.equal(isNamed(name, pattern), false, `${name} ${pattern}`);
});

test('a name fits its pattern as it fits the regular expression of the same meaning', () => {
  const some = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
  const names = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
  fc.assert(
    fc.property(names, some, (name, pattern) => {
      const meant = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
      return isNamed(name, pattern) === meant.test(name);
    }),
    { numRuns: 5_000 },
  );
});

test('no pattern makes it slow', () => {
  const began = performance.now();
  assert.equal(isNamed('a'.repeat(255), `${'*a'.repeat(120)}*b`), false);
  assert.ok(performance.now() - began < 100);
});

test('the distance between tries grows to a day and no further', () => {
  const minutes = [1, 2, 3, 9, 10, 1_000].map((attempts) => distanceMs(attempts) / 60_000);
  assert.deepEqual(minutes, [5, 10, 20, 1_280, 1_440, 1_440]);
});

test('every VM that a rule speaks of is taken, or it is said why not', () => {
  const vmId = 'd0000000-0000-4000-8000-000000000001' as VmId;
  const surroundings = (over: Partial<RuleSurroundings> = {}): RuleSurroundings => ({
    isProtected: new Set(),
    isExcluded: new Set(),
    attempts: new Map(),
    now: 1_000_000,
    ...over,
  });
  const verdict = (over: Partial<RuleSurroundings>, mode = 'none') => {
    const judged = judge({ vmId, name: 'web-01', tags: [], mode }, { by: 'all' }, surroundings(over));
    return `${judged?.verdict}: ${judged?.why}`;
  };
  assert.equal(judge({ vmId, name: 'web-01', tags: [], mode: 'none' }, { by: 'name', pattern: 'sql*' }, surroundings()), null);
  assert.equal(verdict({}), 'takes: the rule takes all VMs of the cloud');
  assert.equal(verdict({ isProtected: new Set([vmId]) }), 'passes: it is protected already');
  assert.equal(verdict({ isExcluded: new Set([vmId]) }), 'passes: a person took it out of protection: lift that first');
  for (const mode of ['primary', 'replica', 'testReplica'])
    assert.equal(verdict({}, mode), 'passes: it replicates already: adopt it instead');
  assert.equal(verdict({ attempts: new Map([[vmId, { attempts: 2, endedAt: 999_000 }]]) }), 'waits: it was tried 2 times in vain');
  assert.match(verdict({ attempts: new Map([[vmId, { attempts: 2, endedAt: 399_000 }]]) }), /^takes/);
  assert.match(verdict({ attempts: new Map([[vmId, { attempts: 0, endedAt: 999_999 }]]) }), /^takes/);
});

test('a rule by tag speaks of VMs with that tag, whatever its case, and of no others', () => {
  const vmId = 'd0000000-0000-4000-8000-000000000001' as VmId;
  const none = { isProtected: new Set<VmId>(), isExcluded: new Set<VmId>(), attempts: new Map(), now: 0 };
  const judged = (tags: string[], tag: string) => judge({ vmId, name: 'gold', tags, mode: 'none' }, { by: 'tag', tag }, none);
  assert.deepEqual(judged(['silver', 'Gold '], 'gold'), { verdict: 'takes', why: 'it is tagged gold' });
  for (const tags of [[], ['golden'], ['old gold']]) assert.equal(judged(tags, 'gold'), null);
});

test('sites are asked for each tag that a rule names, once, and for no more than a message takes', () => {
  const byTag = (tag: string) => ({ by: 'tag' as const, tag });
  assert.deepEqual(tagsNamed([byTag('gold'), { by: 'all' }, byTag('GOLD'), byTag('pci')]), ['gold', 'pci']);
  assert.equal(tagsNamed(Array.from({ length: TAGS_MOST + 5 }, (_, n) => byTag(`tag ${n}`))).length, TAGS_MOST);
});
