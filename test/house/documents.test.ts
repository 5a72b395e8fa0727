/** Documents that cannot lie: what `npm run docs` would write is what is there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { documents } from '../../scripts/docs/documents.ts';
import { PHASES, VM_OPERATIONS, whyNot } from '../../shared/domain/protected-vm.ts';

const root = path.resolve(import.meta.dirname, '../..');

describe('the generated documents', () => {
  for (const [name, make] of Object.entries(documents)) {
    it(`${name} is fresh`, () =>
      assert.equal(readFileSync(path.join(root, name), 'utf8'), make(), `stale: run \`npm run docs\` and commit ${name}`));
  }

  it('say each message and each leaf of what leaves a site', () => {
    const text = documents['docs/metadata.md']?.() ?? '';
    for (const message of ['hello', 'command.finished', 'inventory.changed']) assert.match(text, new RegExp(`^### ${message}$`, 'm'));
    for (const field of ['vms[].replication.state', 'vms[].ref.vmId', 'finished[].outcome.code', 'csr', 'inventoryDigest']) {
      assert.ok(text.includes(`| \`${field}\` |`), field);
    }
  });

  it('say why each operation is refused in each phase, clause by clause as the refusal does', () => {
    const lines = (documents['docs/states.md']?.() ?? '').split('\n');
    for (const phase of PHASES) {
      const line = lines.find((text) => text.startsWith(`- \`${phase}\`: `)) ?? '';
      for (const operation of VM_OPERATIONS) {
        // A clean-up is only asked for where there is a test copy.
        const drill = operation === 'cleanUpTest' ? 'D' : null;
        const reason = whyNot({ phase, activeLocation: 'primary', replicatesFrom: 'primary', busyWith: null, drill }, operation);
        for (const clause of reason.split('; ')) assert.ok(line.includes(clause), `${operation} while ${phase}: ${clause}`);
      }
    }
  });
});
