/**
 * The lint can fail: each banned thing, planted in a copy of the folder where it is banned, is reported by the very
 * configuration that `npm run lint` uses. A rule that went quiet would look like clean code.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

const root = path.resolve(import.meta.dirname, '../..');
const oxlint = path.join(root, 'node_modules/oxlint/bin/oxlint');

const outsideTimeAndChance: Record<string, string> = {
  'Date.now': 'export const a = Date.now();',
  'Date.now by another name': 'export const a = Date; export const b = a.now();',
  'Date.now by destructuring': 'export const { now } = Date;',
  'new Date()': 'export const a = new Date();',
  'Date()': 'export const a = Date();',
  'Math.random': 'export const a = Math.random();',
  'Math.random by destructuring': 'export const { random } = Math;',
  'Math.random by a computed name': "export const a = Math['random']();",
  globalThis: 'export const a = globalThis.Date.now();',
  setTimeout: 'setTimeout(() => {}, 1);',
  setInterval: 'setInterval(() => {}, 1);',
  setImmediate: 'setImmediate(() => {});',
  'performance.now': 'export const a = performance.now();',
  'process.hrtime': 'export const a = process.hrtime.bigint();',
  'AbortSignal.timeout': 'export const a = AbortSignal.timeout(5);',
  'crypto.randomUUID': 'export const a = crypto.randomUUID();',
  'crypto.getRandomValues': 'export const a = crypto.getRandomValues(new Uint8Array(1));',
  'randomUUID of node:crypto': "import { randomUUID } from 'node:crypto';\nexport const a = randomUUID();",
  'randomUUID of node:crypto by another name': "import { randomUUID as id } from 'node:crypto';\nexport const a = id();",
  'randomBytes of crypto': "import { randomBytes } from 'crypto';\nexport const a = randomBytes(4);",
  'the whole of node:crypto': "import * as all from 'node:crypto';\nexport const a = all.randomUUID();",
  'setTimeout of node:timers': "import { setTimeout as later } from 'node:timers';\nlater(() => {}, 1);",
  'node:timers/promises': "import { setTimeout as sleep } from 'node:timers/promises';\nexport const a = sleep;",
  'node:timers/promises while running': "export const a = import('node:timers/promises');",
  'node:perf_hooks': "import { performance as p } from 'node:perf_hooks';\nexport const a = p.now();",
  'node:timers passed on': "export { setTimeout as later } from 'node:timers';",
};

const allowed = [
  'export const a = (ms: number) => new Date(ms).toISOString();',
  'export const b = (text: string) => Date.parse(text) + Math.floor(1.5);',
  'export const c = (value: unknown): value is Date => value instanceof Date;',
  'export interface Timed { at: Date; setTimeout: () => void; now(): number }',
  'export const d = (clock: Timed) => clock.setTimeout();',
  'export const e = (clock: Timed) => { const performance = clock.now(); return performance; };',
].join('\n');

const coreFolders = [
  'shared',
  'shared/domain',
  'shared/engine',
  'shared/protocol',
  'provider-agent/channel',
  'provider-agent/commands',
  'provider-agent/enroll',
  'provider-agent/fabric',
  'provider-agent/fabric/simulated',
  'provider-agent/observe',
  'provider-agent/recovery',
  'provider-agent/state',
  'control-plane/channel',
  'control-plane/operations',
  'control-plane/store',
];

interface Finding {
  code: string;
  filename: string;
}

describe('the lint', () => {
  let house: string;

  before(() => {
    house = mkdtempSync(path.join(tmpdir(), 'farshore-lint-'));
    cpSync(path.join(root, '.oxlintrc.json'), path.join(house, '.oxlintrc.json'));
    cpSync(path.join(root, 'scripts/lint'), path.join(house, 'scripts/lint'), { recursive: true });
    cpSync(path.join(root, 'tsconfig.json'), path.join(house, 'options.json'));
    symlinkSync(path.join(root, 'node_modules'), path.join(house, 'node_modules'), 'junction');
    write(
      'tsconfig.json',
      '{ "extends": "./options.json", "compilerOptions": { "noEmit": true, "composite": false }, "include": ["**/*.ts"], "references": [] }',
    );
  });
  after(() => rmSync(house, { recursive: true, force: true }));

  function write(name: string, text: string): void {
    mkdirSync(path.dirname(path.join(house, name)), { recursive: true });
    writeFileSync(path.join(house, name), `${text}\n`);
  }

  /** Plants the files, lints them in one go, and returns the rules that each file broke. */
  function lint(files: Record<string, string>): Map<string, string[]> {
    for (const [name, text] of Object.entries(files)) write(name, text);
    const args = [oxlint, '--type-aware', '--format=json', ...Object.keys(files)];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: house, encoding: 'utf8' });
    assert.match(stdout, /"diagnostics"/, `oxlint did not report: ${stdout}${stderr}`);
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: Finding[] };
    const rules = new Map(Object.keys(files).map((name): [string, string[]] => [name, []]));
    for (const { code, filename } of diagnostics) rules.get(filename.replaceAll('\\', '/'))?.push(code);
    return rules;
  }

  const timeRule = 'farshore(injected-ports)';

  it('reports every way to time and chance past the ports, one by one', () => {
    const titles = Object.keys(outsideTimeAndChance);
    const files = Object.fromEntries(
      Object.values(outsideTimeAndChance).map((text, index) => [`provider-agent/commands/banned-${index}.ts`, text]),
    );
    const quiet = [...lint(files).values()].flatMap((rules, index) => (rules.includes(timeRule) ? [] : [titles[index]]));
    assert.deepEqual(quiet, []);
  });

  it('does so in every folder of the cores', () => {
    const files = Object.fromEntries(coreFolders.map((folder) => [`${folder}/clock.ts`, 'export const a = Date.now();']));
    const quiet = [...lint(files)].filter(([, rules]) => !rules.includes(timeRule)).map(([name]) => name);
    assert.deepEqual(quiet, []);
  });

  it('leaves alone what only looks like it, and the folders round the cores', () => {
    const found = lint({
      'shared/looks-like.ts': allowed,
      'shared/system-ports.ts': 'export const a = Date.now();',
      'provider-agent/main.ts': 'export const a = Date.now();',
      'control-plane/api/app.ts': 'export const a = new Date();',
    });
    assert.deepEqual([...found.values()].flat(), []);
  });

  it('reports anything of Node in shared', () => {
    const found = lint({
      'shared/a.ts': "import { readFileSync } from 'node:fs';\nexport const a = readFileSync;",
      'shared/domain/b.ts': "import path from 'path';\nexport const b = path.sep;",
      'shared/engine/c.ts': "export const c = import('node:os');",
      'shared/d.ts': "export { sep } from 'node:path';",
      'shared/e.ts': 'export const e = process.env;',
    });
    assert.deepEqual(
      [...found].filter(([, rules]) => !rules.includes('farshore(portable-shared)')),
      [],
    );
  });

  it('reports promises that nobody waits for, misused ones, and waiting for what is none', () => {
    const found = lint({
      'certs/floating.ts': 'async function work() {}\nexport function a() { work(); }',
      'certs/misused.ts': 'async function work() { return true; }\nexport function a() { if (work()) return 1; return 2; }',
      'certs/thenable.ts': 'export async function a() { await 5; }',
    });
    assert.ok(found.get('certs/floating.ts')?.includes('typescript(no-floating-promises)'));
    assert.ok(found.get('certs/misused.ts')?.includes('typescript(no-misused-promises)'));
    assert.ok(found.get('certs/thenable.ts')?.includes('typescript(await-thenable)'));
  });

  it('reports an any that gives no reason', () => {
    const found = lint({
      'certs/bare.ts': 'export const a = 1;\nexport const b: any = a;',
      'certs/reasoned.ts': '// The library types this as unknown and reads any member of it.\nexport const b: any = 1;',
    });
    assert.deepEqual(found.get('certs/bare.ts'), ['farshore(reason-for-any)']);
    assert.deepEqual(found.get('certs/reasoned.ts'), []);
  });
});
