/** The real tree keeps the rules of the house, and each rule is seen to fail on a tree that breaks it. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { barrels, importCycles, leftForLater, readTree, singletons, type Tree, tooLong, wrongEndings, wrongNames } from './house-rules.ts';
import { brokenWalls } from './walls.ts';

const house = readTree(path.resolve(import.meta.dirname, '../..'));

const tree = (files: Record<string, string>): Tree => new Map(Object.entries(files));

describe('the house', () => {
  it('was read', () => assert.ok(house.has('shared/ids.ts') && house.has('test/house/imports.test.ts')));
  it('has whole walls', () => assert.deepEqual(brokenWalls(house), []));
  it('has no import cycles', () => assert.deepEqual(importCycles(house), []));
  it('has no barrels', () => assert.deepEqual(barrels(house), []));
  it('has no singletons in its modules', () => assert.deepEqual(singletons(house), []));
  it('has no file over the limit', () => assert.deepEqual(tooLong(house), []));
  it('imports files by their whole names', () => assert.deepEqual(wrongEndings(house), []));
  it('leaves nothing for later', () => assert.deepEqual(leftForLater(house), []));
  it('names its files by the thing inside', () => assert.deepEqual(wrongNames(house), []));
});

describe('the walls', () => {
  const broken: Record<string, [file: string, text: string]> = {
    'the agent and the control plane': ['provider-agent/channel/dial.ts', "import { hub } from '../../control-plane/channel/hub.ts';"],
    'the control plane and the agent': ['control-plane/main.ts', "import type { Fabric } from '../provider-agent/fabric/fabric.ts';"],
    'operations and channel': ['control-plane/operations/pair.ts', "import { hub } from '../channel/hub.ts';"],
    'channel and operations': ['control-plane/channel/hub.ts', "import { run } from '../operations/run.ts';"],
    'commands and a driver of the fabric': ['provider-agent/commands/vm.ts', "import { Site } from '../fabric/simulated/site.ts';"],
    'the fabric and the state': ['provider-agent/fabric/fabric.ts', "import type { Journal } from '../state/journal.ts';"],
    'shared and node': ['shared/ids.ts', "import { readFileSync } from 'node:fs';"],
    'shared and a package': ['shared/ids.ts', "import axios from 'axios';"],
    'shared and yaml, outside the document': ['shared/domain/plan.ts', "import { parse } from 'yaml';"],
    'shared and a program': ['shared/engine/engine.ts', "import { Store } from '../../control-plane/store/store.ts';"],
    'domain and protocol': ['shared/domain/plan.ts', "import { commands } from '../protocol/commands.ts';"],
    'engine and domain': ['shared/engine/engine.ts', "import { plan } from '../domain/plan.ts';"],
    'the client and the server': ['control-plane/cli/main.ts', "import { Store } from '../store/store.ts';"],
    'the demo and a program': ['demo/main.ts', "import { start } from '../control-plane/core.ts';"],
    'system ports and a core': ['provider-agent/core.ts', "import { systemClock } from '../shared/system-ports.ts';"],
    'a core and its main': ['provider-agent/core.ts', "import { start } from './main.ts';"],
    'an import while running': ['control-plane/operations/pair.ts', "const { hub } = await import('../channel/hub.ts');"],
    'an import of a computed name': ['control-plane/operations/pair.ts', 'const some = await import(name);'],
    'an import for its effect': ['control-plane/operations/pair.ts', "import '../channel/hub.ts';"],
    'an import over several lines': ['control-plane/operations/pair.ts', "import {\n  hub,\n} from '../channel/hub.ts';"],
    'passing on': ['control-plane/operations/pair.ts', "export { hub } from '../channel/hub.ts';"],
    'a room that is not in the table': ['control-plane/cellar/wine.ts', ''],
    'a house that is not in the table': ['garden/shed.ts', ''],
  };
  for (const [title, [file, text]] of Object.entries(broken)) {
    it(`are seen broken: ${title}`, () => assert.equal(brokenWalls(tree({ [file]: text })).length, 1));
  }

  it('are seen broken: operations and the database behind the store', () => {
    const files = {
      'control-plane/store/sqlite.ts': "import Database from 'better-sqlite3';",
      'control-plane/operations/pair.ts': "import { open } from '../store/sqlite.ts';",
    };
    assert.deepEqual(brokenWalls(tree(files)), ["control-plane/operations/pair.ts imports '../store/sqlite.ts'"]);
  });

  it('have the doors that the table names', () => {
    const files = {
      'shared/ids.ts': "import { z } from 'zod';",
      'shared/document.ts': "import { parseDocument } from 'yaml';",
      'control-plane/store/store.ts': "import type { SiteId } from '../../shared/ids.ts';",
      'control-plane/operations/pair.ts': "import { isOpen, type Store } from '../store/store.ts';\n// import '../channel/hub.ts'",
      'control-plane/main.ts': "import { systemClock } from '../shared/system-ports.ts';\nimport { pair } from './operations/pair.ts';",
      'provider-agent/fabric/simulated/site.ts': "import type { Fabric } from '../fabric.ts';\nimport { readFileSync } from 'node:fs';",
      'test/unit/pair.test.ts': "import { pair } from '../../control-plane/operations/pair.ts';",
    };
    assert.deepEqual(brokenWalls(tree(files)), []);
  });
});

describe('the other rules', () => {
  it('see a cycle, also one of types or through an import while running', () => {
    const files = {
      'certs/a.ts': "import { b } from './b.ts';",
      'certs/b.ts': "import type { C } from './c.ts';",
      'certs/c.ts': "const { a } = await import('./a.ts');",
    };
    assert.deepEqual(importCycles(tree(files)), ['certs/a.ts -> certs/b.ts -> certs/c.ts -> certs/a.ts']);
  });

  it('see a barrel', () => {
    const found = barrels(
      tree({
        'certs/a.ts': "export * from './b.ts';",
        'certs/b.ts': "export { c } from './c.ts';\nexport type { D } from './d.ts';",
        'certs/index.ts': "export { c } from './c.ts';\nexport const own = 1;",
        'certs/c.ts': 'const c = 1;\nexport { c };',
        'certs/d.ts': 'export type D = { from: string };',
      }),
    );
    assert.deepEqual(
      found.map((breach) => breach.split(':')[0]),
      ['certs/a.ts', 'certs/b.ts', 'certs/index.ts'],
    );
  });

  it('see what lives on in a module, and leave tables and main alone', () => {
    const singletonLines = [
      'let count = 0;',
      'export const hub = new Hub();',
      'const seen = new Set<string>();',
      'const cache: string[] = [];',
      'export var a = 1;',
    ];
    for (const line of singletonLines) assert.equal(singletons(tree({ 'certs/a.ts': line })).length, 1, line);
    const fine = [
      "const kinds = new Set(['a']);",
      "const base = new URL('http://x');",
      'function f() {\n  let count = 0;\n}',
      'const table = { a: 1 };',
    ];
    for (const line of fine) assert.deepEqual(singletons(tree({ 'certs/a.ts': line })), []);
    assert.deepEqual(singletons(tree({ 'control-plane/main.ts': 'const hub = new Hub();' })), []);
  });

  it('see a file that is too long', () => {
    assert.equal(tooLong(tree({ 'certs/a.ts': '\n'.repeat(401) })).length, 1);
    assert.deepEqual(tooLong(tree({ 'certs/a.ts': '\n'.repeat(400) })), []);
  });

  it('see an import without its ending, or of nothing', () => {
    const files = {
      'certs/a.ts': "import { b } from './b';\nimport { c } from './c.js';\nimport { d } from './gone.ts';",
      'certs/b.ts': '',
      'certs/c.ts': '',
    };
    assert.equal(wrongEndings(tree(files)).length, 3);
  });

  it('see what is left for later', () => {
    const lines = [`// ${'TO'}${'DO'}: mend`, `/* ${'FIX'}${'ME'} */`, `${'it'}.only('a', () => {});`];
    for (const line of lines) assert.equal(leftForLater(tree({ 'certs/a.ts': line })).length, 1, line);
  });

  it('see names that say nothing', () => {
    const names = [
      'certs/utils.ts',
      'certs/key-helpers.ts',
      'certs/index.ts',
      'certs/KeyFile.ts',
      'certs/key_file.ts',
      'certs/hub-manager.ts',
    ];
    for (const name of names) assert.equal(wrongNames(tree({ [name]: '' })).length, 1, name);
    assert.deepEqual(wrongNames(tree({ 'certs/key-file.ts': '', 'test/unit/key-file.test.ts': '' })), []);
  });
});
