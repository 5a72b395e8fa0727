import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainNoPlace, type HostRoom, type PlacementNeed, pickPlace } from '../../shared/domain/placement.ts';
import { NetworkId } from '../../shared/ids.ts';

const GB = 1024 ** 3;
const blue = NetworkId.parse('7b8e5d7a-5c1e-4b62-8a5e-0f6f2f0a7c11');

function room(host: string, over: Partial<HostRoom> = {}): HostRoom {
  return {
    host,
    isUp: true,
    coreLimit: 100,
    coresUsed: 0,
    memoryBytes: 100 * GB,
    memoryBytesUsed: 0,
    networkIds: [blue],
    storage: [{ classification: 'Gold', freeBytes: 1000 * GB }],
    ...over,
  };
}

const need: PlacementNeed = { cores: 4, memoryBytes: 16 * GB, networkIds: [blue], storage: [{ classification: 'Gold', bytes: 100 * GB }] };

test('the host with the most room left gets the VM, and each host says why', () => {
  const placement = pickPlace(need, [room('a', { memoryBytesUsed: 80 * GB }), room('b', { coresUsed: 20 }), room('c', { coresUsed: 60 })]);
  assert.equal(placement.kind === 'placed' && placement.host, 'b');
  assert.deepEqual(
    placement.verdicts.map(({ host }) => host),
    ['a', 'b', 'c'],
  );
  assert.match(placement.verdicts[0]?.why ?? '', /CPU 96 %, memory 4 %, storage 90 %/);
});

test('among equals the first by name gets it', () => {
  const placement = pickPlace(need, [room('b'), room('a')]);
  assert.equal(placement.kind === 'placed' && placement.host, 'a');
});

test('where no host fits, everything that is missing is said of each', () => {
  const placement = pickPlace(need, [
    room('down', { isUp: false }),
    room('far', { networkIds: [] }),
    room('small', { coresUsed: 98, memoryBytesUsed: 90 * GB }),
    room('full', { storage: [{ classification: 'Gold', freeBytes: 40 * GB }] }),
    room('plain', { storage: [{ classification: 'Silver', freeBytes: 900 * GB }] }),
  ]);
  assert.equal(placement.kind, 'noPlace');
  assert.deepEqual(
    placement.verdicts.map(({ lacks }) => lacks.map(({ what }) => what)),
    [['hostDown'], ['network'], ['cpu', 'memory'], ['storage'], ['storage']],
  );
  const told = explainNoPlace(placement.verdicts);
  assert.match(told, /small: CPU is short of 2 cores, memory is short of 6\.0 GB/);
  assert.match(told, /full: storage 'Gold' is short of 60\.0 GB/);
});

test('a VM that fills a host exactly has a place there', () => {
  assert.equal(
    pickPlace(need, [room('a', { coresUsed: 96, memoryBytesUsed: 84 * GB, storage: [{ classification: 'Gold', freeBytes: 100 * GB }] })])
      .kind,
    'placed',
  );
});
