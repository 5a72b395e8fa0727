import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { formatProblems, type ReadOptions, readDocument } from '../../shared/document.ts';
import { DurationMs, SizeBytes } from '../../shared/domain/units.ts';
import { FarshoreError } from '../../shared/errors.ts';

const Plan = z.strictObject({
  name: z.string(),
  kind: z.enum(['planned', 'unplanned']).optional(),
  limit: DurationMs.optional(),
  size: SizeBytes.optional(),
  groups: z.array(z.strictObject({ name: z.string(), members: z.array(z.string()).min(1) })).default([]),
});

function mistakesIn(text: string, options: ReadOptions = {}): string {
  try {
    readDocument(text, 'plan.yaml', Plan, options);
  } catch (thrown) {
    assert.ok(thrown instanceof FarshoreError);
    assert.equal(thrown.code, 'ERR_DOCUMENT_INVALID');
    return formatProblems(thrown);
  }
  assert.fail('the document was taken');
}

test('a right document is given as the schema has it', () => {
  const plan = readDocument('name: erp\nlimit: 2 h\nsize: 1.5 GB\ngroups: [{ name: sql, members: [sql-01] }]\n', 'plan.yaml', Plan);
  assert.deepEqual(plan, { name: 'erp', limit: 7_200_000, size: 1.5 * 1024 ** 3, groups: [{ name: 'sql', members: ['sql-01'] }] });
});

test('all mistakes are told at once, each with its place, its field and what is allowed', () => {
  assert.deepEqual(
    mistakesIn('nme: erp\nkind: unpland\nlimit: 5 GB\nsize: 12\ngroups:\n  - name: sql\n    members: []\n  - members: [7]\n').split('\n'),
    [
      'plan.yaml:1:1  name  is missing (allowed: a text)',
      "plan.yaml:1:1  nme  is not a field here; did you mean 'name'? (allowed: name, kind, limit, size, groups)",
      "plan.yaml:2:7  kind  'unpland' is not one of those allowed; did you mean 'unplanned'? (allowed: planned, unplanned)",
      "plan.yaml:3:8  limit  'GB' is not a unit for this (allowed: a duration with its unit: '250 ms', '30 s', '5 min', '2 h', or 0)",
      "plan.yaml:4:7  size  '12' has no unit (allowed: a size with its unit: '512 MB', '4 GB', '2 TB')",
      'plan.yaml:7:14  groups[0].members  is too short (allowed: at least 1 entries)',
      'plan.yaml:8:5  groups[1].name  is missing (allowed: a text)',
      "plan.yaml:8:15  groups[1].members[0]  '7' is a number (allowed: a text)",
    ],
  );
});

test('a field given twice is a mistake at its second place', () => {
  assert.match(mistakesIn('name: a\nname: b\n'), /^plan\.yaml:2:1 {2}the field is given twice \(allowed: each field once\)$/);
});

test('what is no YAML is told with its line', () => {
  assert.match(mistakesIn('name: erp\ngroups: [\n'), /^plan\.yaml:[23]:/);
  assert.match(mistakesIn('name: !!js/function x\n'), /^plan\.yaml:1:/);
});

test('anchors and aliases are refused, so that no document grows when it is read', () => {
  const bomb = `name: erp\na: &a [x, x]\n${'bcdefgh'
    .split('')
    .map((key, i) => `${key}: &${key} [*${'abcdefg'[i]}, *${'abcdefg'[i]}]`)
    .join('\n')}\n`;
  assert.match(mistakesIn(bomb), /plan\.yaml:2:\d+ {2}anchors and aliases are not taken/);
});

test('a document too large or nested too deeply is refused unread', () => {
  assert.match(mistakesIn('name: a\n'.repeat(10), { maxLength: 50 }), /is too large \(allowed: at most 50 characters\)/);
  assert.match(mistakesIn(`name: ${'['.repeat(100_000)}`), /nested too deeply/);
  assert.match(mistakesIn('- '.repeat(50_000)), /nested too deeply/);
});

test('an empty document and one that is a list are told as such', () => {
  assert.match(mistakesIn(''), /^plan\.yaml:1:1 /);
  assert.match(mistakesIn('[1]'), /is a list \(allowed: an object with fields\)/);
});

test('a map with tens of thousands of fields is judged at once, not field against field', { timeout: 60_000 }, () => {
  const fields = Array.from({ length: 40_000 }, (_, index) => `k${index}: 1\n`).join('');
  assert.match(mistakesIn(`k0: 2\n${fields}`), /^plan\.yaml:2:1 {2}the field is given twice \(allowed: each field once\)$/m);
  assert.equal(mistakesIn(fields).split('\n').length, 200);
});
