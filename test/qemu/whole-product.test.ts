/**
 * The whole product over real machines: a control plane and two agents as processes of their own. The primary site is killed, its machines too; what
 * was recovered is read record by record from the disks.
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { whyNoQemu } from '../support/qemu-guest.ts';
import { diskAt, QemuTestSite } from '../support/qemu-site.ts';
import { RealPair } from '../support/real-pair.ts';
import { until } from '../support/until.ts';

const skip = await whyNoQemu();
const Lineage = z.object({ points: z.array(z.object({ id: z.string(), layer: z.int() })) });
const Note = z.object({ failover: z.object({ recoveryPoint: z.object({ id: z.string() }) }) });
const Points = z.object({ base: z.int(), points: z.array(z.object({ layer: z.int() })) });
const LIMIT_MS = 120_000;

interface ProtectedVm {
  readonly id: string;
  readonly vmId: string;
}

describe('the product over real machines', { skip }, () => {
  let sites: Record<'reading' | 'slough', QemuTestSite>;
  let pair: RealPair;
  let vm: ProtectedVm;
  let target: { vms: string[] };

  before(async () => {
    sites = { reading: QemuTestSite.write('reading', 'Gold', ['web']), slough: QemuTestSite.write('slough', 'Silver') };
    pair = await RealPair.makeWith((part) => `fabric: { kind: qemu, site: ${sites[part].file} }\n`);
    await pair.protectAll();
    const { protectedVms } = await pair.get<{ protectedVms: ProtectedVm[] }>('/protected-vms');
    vm = protectedVms[0] as ProtectedVm;
    target = { vms: [vm.id] };
  });
  after(async () => {
    await pair?.close();
    for (const site of Object.values(sites ?? {})) await site.end();
  });

  const homeAt = (site: 'reading' | 'slough') => sites[site].homeOf(vm.vmId);
  const newestAt = (site: 'reading' | 'slough') =>
    Points.parse(JSON.parse(readFileSync(join(homeAt(site), 'points.json'), 'utf8'))).points.at(-1)?.layer ?? -1;
  const succeeds = async (request: object) => {
    const { id, state } = await pair.untilEnded(await pair.begin(request), LIMIT_MS);
    assert.equal(state, 'succeeded', JSON.stringify(await pair.get(`/jobs/${id}`), null, 1));
    return id;
  };
  const goesOn = async (site: 'reading' | 'slough', after: number) =>
    until('the guest writes on', () => diskAt(homeAt(site)).last > after + 5, 30_000);

  it('protects the machine, which goes on writing, and sends increments', async () => {
    const first = newestAt('slough');
    await until('an increment has arrived', () => newestAt('slough') > first, LIMIT_MS);
    assert.deepEqual(diskAt(homeAt('slough'), newestAt('slough')).missing, []);
  });

  it('rehearses on a copy, and leaves nothing behind', async () => {
    const { networks } = await pair.get<{ networks: { id: string; name: string; siteId: string; siteName: string }[] }>('/networks');
    const bubble = networks.find(({ name, siteName }) => name === 'Bubble' && siteName === 'slough');
    const isolated = [{ siteId: bubble?.siteId, networkId: bubble?.id }];
    const drill = await succeeds({ kind: 'testFailover', target, network: { use: 'isolated', networks: isolated } });
    await succeeds({ kind: 'cleanUpTest', drill, outcome: 'passed', notes: 'it wrote' });
    assert.equal(sites.slough.killMachines(), 0, 'no machine runs there');
  });

  it('fails over when the site is killed: every record up to the point is there, and none after it', async () => {
    await pair.kill('reading');
    assert.equal(sites.reading.killMachines(), 1);
    await pair.untilConnected('reading', false);
    const written = diskAt(homeAt('reading')).last;
    await succeeds({ kind: 'unplannedFailover', target, primary: { evidence: 'attested', reason: 'it was killed' } });
    const { failover } = Note.parse(JSON.parse(readFileSync(join(homeAt('slough'), 'note.json'), 'utf8')));
    const { points } = Lineage.parse(JSON.parse(readFileSync(join(homeAt('reading'), 'lineage.json'), 'utf8')));
    const point = points.find(({ id }) => id === failover.recoveryPoint.id);
    assert.ok(point, 'the primary knows which layer it sent for that point');
    const [sent, found] = [diskAt(homeAt('reading'), point.layer), diskAt(homeAt('slough'), point.layer)];
    assert.deepEqual([found.missing, found.last, found.starts], [[], sent.last, sent.starts]);
    assert.ok(found.last <= written && found.last > 0);
    await goesOn('slough', found.last);
    const recovered = diskAt(homeAt('slough'));
    assert.deepEqual([recovered.missing, recovered.starts, recovered.address], [[], 2, '10.0.0.10/16']);
  });

  it('is committed and turned round without another full copy when the site is back', async () => {
    await succeeds({ kind: 'commit', target });
    const base = statSync(join(homeAt('reading'), 'd0', 'base.qcow2')).ino;
    await pair.start('reading');
    await pair.untilConnected('reading');
    await succeeds({ kind: 'reverseReplication', target });
    assert.equal(statSync(join(homeAt('reading'), 'd0', 'base.qcow2')).ino, base, 'the disk it had is the replica');
    assert.deepEqual(diskAt(homeAt('reading'), newestAt('reading')).missing, []);
  });

  it('fails back as planned, and no record is lost', async () => {
    await goesOn('slough', diskAt(homeAt('slough')).last);
    await succeeds({ kind: 'plannedFailover', direction: 'toPrimary', target, reason: 'the site is back' });
    const left = diskAt(homeAt('slough'));
    await goesOn('reading', left.last);
    const back = diskAt(homeAt('reading'));
    assert.deepEqual([left.missing, back.missing, back.starts], [[], [], 3]);
  });
});
