import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
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

const notYaml: readonly (readonly [string, string])[] = [
  ['name: erp\ngroups: [\n', 'plan.yaml:3:1  a list or object in brackets has no end (allowed: ] at its end)'],
  ['name: !!js/function x\n', 'plan.yaml:1:7  has a tag, a word that begins with ! (allowed: the value without a tag)'],
  ['name: "erp\n', 'plan.yaml:2:1  a text in quotes has no end (allowed: " at its end)'],
  ['name: erp\nkind:\n\t- planned\n', 'plan.yaml:3:1  is indented with a tab (allowed: spaces)'],
  ['name: @erp\n', 'plan.yaml:1:7  a text begins with @ (allowed: the text in quotes)'],
  [
    'name: "C:\\qemu"\n',
    'plan.yaml:1:10  a backslash in double quotes is followed by what it does not go with (allowed: the text in single quotes, or two backslashes for one)',
  ],
  ['groups: [sql,,front]\n', 'plan.yaml:1:14  a comma stands after nothing (allowed: a comma between two entries)'],
  ['name: erp }\nkind: ]\n', 'plan.yaml:2:7  "]" does not belong here (allowed: YAML 1.2; what is wrong may stand in the line before it)'],
  ['groups: - sql\n', 'plan.yaml:1:9  a list begins on the line of its field (allowed: the list in the lines below it)'],
  ['name: erp\n---\nname: crm\n', 'plan.yaml:2:1  a second document begins here (allowed: one document in a file)'],
];

for (const [text, told] of notYaml)
  test(`what is no YAML is told in our words, with its line: ${JSON.stringify(text)}`, () => {
    assert.equal(mistakesIn(text).split('\n')[0], told);
  });

test('a line without a colon, and a field in the line of another, tell how fields are written', () => {
  const allowed =
    "\\(allowed: in each line a name, a colon, a space and a value, fields side by side with the same indentation; in quotes a text with ': ' in it\\)";
  assert.match(mistakesIn('name: erp\nkind\nlimit: 5 s\n'), new RegExp(`^plan.yaml:2:1  a line has no colon ${allowed}$`));
  assert.match(mistakesIn('name: erp: crm\n'), new RegExp(`^plan.yaml:1:7  a field begins within another one ${allowed}$`));
});

test('whatever is wrong with the YAML, the words of the parser are told to nobody', () => {
  const piece = fc.constantFrom(
    'name: ',
    '- ',
    '\n',
    '\n  ',
    '\t',
    '[',
    ']',
    '{',
    '}',
    ',',
    '"',
    "'",
    '|',
    '>',
    '&a ',
    '*a',
    '!x ',
    '%Y',
    '---\n',
    '# ',
    '#',
    ': ',
    '? ',
    '@',
    '\\q',
    'erp',
  );
  let refused = 0;
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 14 }), (pieces) => {
      let told = '';
      try {
        readDocument(pieces.join(''), 'plan.yaml', z.unknown());
      } catch (thrown) {
        told = formatProblems(thrown as FarshoreError);
        refused++;
      }
      assert.doesNotMatch(
        told,
        /implicit|flow |scalar|plain value|mapping|sequence|token|collection|unresolved|invalid|parseAll|node|indicator/i,
      );
      for (const line of told.split('\n').filter((text) => text !== '')) assert.match(line, /^plan\.yaml:\d+:\d+ .*\(allowed: .+\)$/);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(refused > 500, `only ${refused} were refused`);
});

test('a field that is not there is held against the fields of the form that is meant', () => {
  const Shape = z.strictObject({
    all: z.array(
      z.discriminatedUnion('do', [
        z.strictObject({ do: z.literal('ask'), instruction: z.string() }),
        z.strictObject({ do: z.literal('wait'), host: z.string(), port: z.int() }),
      ]),
    ),
  });
  const told = (text: string) => {
    try {
      readDocument(text, 'plan.yaml', Shape);
    } catch (thrown) {
      return formatProblems(thrown as FarshoreError);
    }
    return '';
  };
  assert.equal(
    told('all: [{ do: ask, instruction: Look., hots: a }]'),
    'plan.yaml:1:38  all[0].hots  is not a field here (allowed: do, instruction)',
  );
  assert.equal(
    told('all: [{ do: wait, hosts: a, host: b, port: 1 }]'),
    "plan.yaml:1:19  all[0].hosts  is not a field here; did you mean 'host'? (allowed: do, host, port)",
  );
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
