/** What is kept of a host that tells only what differs from what it is told that we know. */
import assert from 'node:assert/strict';
import { beforeEach, it } from 'node:test';
import { ToldByHosts } from '../../provider-agent/fabric/hyperv/told-by-hosts.ts';

let there: string[];
let asked: string[];
let kept: ToldByHosts<{ readonly name: string }>;

/** As the module does; a stamp is the name of the thing. */
async function ask(known: string) {
  asked.push(known);
  const stamps = known.split(' ');
  const told = there.filter((name) => !stamps.includes(name)).map((name) => [name, { name }] as const);
  return { told, gone: new Set(stamps.filter((stamp) => !there.includes(stamp))) };
}

const read = async (host = 'hv1') => (await kept.read(host, ask)).map(({ name }) => name).sort();

beforeEach(() => {
  there = ['db-1', 'web-1'];
  asked = [];
  kept = new ToldByHosts();
});

it('is told everything once, and then what changed or went', async () => {
  assert.deepEqual(await read(), ['db-1', 'web-1']);
  there = ['web-2', 'db-1'];
  assert.deepEqual(await read(), ['db-1', 'web-2']);
  there = ['web-2'];
  assert.deepEqual(await read(), ['web-2']);
  assert.deepEqual(asked, ['', 'db-1 web-1', 'db-1 web-2']);
});

it('keeps what did not change as the same object', async () => {
  const [before] = await kept.read('hv1', ask);
  there = ['db-1', 'web-2'];
  const after = await kept.read('hv1', ask);
  assert.ok(before !== undefined && after.includes(before));
});

it('is told again what was told and never arrived', async () => {
  await read();
  there = ['db-1', 'web-2'];
  const lost = kept.read('hv1', async (known) => {
    await ask(known);
    throw new Error('the process died');
  });
  await assert.rejects(lost, /the process died/);
  assert.deepEqual(await read(), ['db-1', 'web-2']);
  assert.deepEqual(asked.slice(1), ['db-1 web-1', 'db-1 web-1']);
});

it('holds of two readings at once one whole answer, never parts of both', async () => {
  await read();
  const answers = ['web-2', 'web-3'].map((web) => {
    there = ['db-1', web];
    return kept.read('hv1', ask);
  });
  await Promise.all(answers);
  assert.deepEqual(
    kept
      .all()
      .map(({ name }) => name)
      .sort(),
    ['db-1', 'web-3'],
  );
});

it('knows nothing of another host, nor in a new life', async () => {
  await read();
  await read('hv2');
  kept = new ToldByHosts();
  assert.equal(kept.hasHeard('hv1'), false);
  await read();
  assert.deepEqual(asked, ['', '', '']);
});
