/**
 * An agent dies between a deed and its line in the book, once for each deed of a long story: when its site is open again, book and machines say
 * the same, and what was asked for is done when it is asked for again.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Act, Fabric } from '../../provider-agent/fabric/fabric.ts';
import { nameUuid } from '../../provider-agent/fabric/name-uuid.ts';
import type { Machinery } from '../../provider-agent/fabric/site/machinery.ts';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { CommandId, NetworkId, PairingId, SiteId, VmId, type VmRef } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { whyNoQemu } from '../support/qemu-guest.ts';
import { diskAt, QemuTestSite } from '../support/qemu-site.ts';
import { makeVaultCertificates } from '../support/replication-certificates.ts';
import { uuidOf } from '../support/simulated-sites.ts';
import { until } from '../support/until.ts';

const skip = await whyNoQemu();
const LIMIT_MS = 60_000;
const policy = { ...defaultPolicy, copyFrequencySeconds: 30 as const };
const pairingId = PairingId.parse(uuidOf('pairing'));
const act = (): Act => ({ commandId: CommandId.parse(systemRandom.uuid()), epoch: 1 });

type Name = 'reading' | 'slough';
type Deed = Exclude<keyof Machinery, 'inTurn' | 'takesMs' | 'copyMs' | 'guestStartMs' | 'traitsForReplica'>;

/** A site whose agent can be told to die as soon as a deed is done. */
class MortalSite {
  readonly made: QemuTestSite;
  deaths = 0;
  #diesAfter: Deed | null = null;

  constructor(made: QemuTestSite) {
    this.made = made;
  }

  async open(): Promise<void> {
    await this.made.open({ machinery: (real) => this.#mortal(real) });
  }

  get fabric(): Fabric {
    return this.made.site;
  }

  /** The call fails with the agent, and the next life of it has opened the site. */
  async diesAfter(deed: Deed, call: () => Promise<unknown>): Promise<void> {
    const before = this.deaths;
    this.#diesAfter = deed;
    await assert.rejects(call());
    assert.equal(this.deaths, before + 1, `${deed} was done and the agent died`);
    await this.made.close();
    await this.open();
  }

  #mortal(real: Machinery): Machinery {
    return new Proxy(real, {
      get: (target, name: Deed) => {
        const value: unknown = target[name];
        if (typeof value !== 'function') return value;
        const bound = value.bind(target) as (...args: unknown[]) => unknown;
        if (name !== this.#diesAfter) return bound;
        return async (...args: unknown[]) => {
          await bound(...args);
          this.#diesAfter = null;
          this.deaths++;
          throw new Error('the agent died');
        };
      },
    });
  }
}

describe('an agent that dies between deed and book', { skip }, () => {
  let sites: Record<Name, MortalSite>;
  let atReading: VmRef;
  let atSlough: VmRef;
  const targets = new Map<Name, { siteId: SiteId; cloudId: VmRef['cloudId']; address: string }>();

  before(async () => {
    const certificates = await makeVaultCertificates();
    sites = {
      reading: new MortalSite(QemuTestSite.write('reading', 'Gold', ['web'])),
      slough: new MortalSite(QemuTestSite.write('slough', 'Silver')),
    };
    const vmId = VmId.parse(nameUuid('reading', 'vm', 'Gold', 'web'));
    atReading = { cloudId: sites.reading.made.cloudId, vmId };
    atSlough = { cloudId: sites.slough.made.cloudId, vmId };
    for (const site of Object.values(sites)) await site.open();
    for (const [name, other] of [
      ['reading', 'slough'],
      ['slough', 'reading'],
    ] as const) {
      const [siteId, { cloudId }] = [SiteId.parse(uuidOf(name)), sites[name].made];
      const issued = await (await certificates.siteIssuer(siteId))(await sites[name].fabric.replicationHosts(cloudId));
      const peer = { siteId: SiteId.parse(uuidOf(other)), cloudId: sites[other].made.cloudId };
      const { rootPem } = certificates;
      const preparation = { pairingId, cloudId, authentication: 'certificate', port: null, certificates: issued, rootPem, peer } as const;
      const { address } = await sites[name].fabric.prepareHosts(preparation, act());
      targets.set(name, { siteId, cloudId, address });
    }
  });
  after(async () => {
    for (const site of Object.values(sites ?? {})) await site.made.end();
  });

  const refAt = (name: Name) => (name === 'reading' ? atReading : atSlough);
  const seen = async (name: Name) => {
    const view = await sites[name].fabric.findVm(refAt(name));
    return `${view?.power} ${view?.replication.mode}/${view?.replication.state}`;
  };
  const target = (name: Name) => targets.get(name) ?? assert.fail();
  const reaches = (name: Name, state: string) => until(`${name} is ${state}`, async () => (await seen(name)) === state, LIMIT_MS);
  const topAt = (name: Name) => diskAt(sites[name].made.homeOf(refAt(name).vmId));
  const isWriting = async (name: Name) => {
    const { last } = topAt(name);
    await until('the guest writes', () => topAt(name).last > last, LIMIT_MS);
  };

  it('a stop and a start of a VM are seen as they are', async () => {
    const { reading } = sites;
    await reading.diesAfter('shutDown', () => reading.fabric.stopVm(atReading, act()));
    assert.equal(await seen('reading'), 'off none/disabled');
    await reading.diesAfter('start', () => reading.fabric.startVm(atReading, act()));
    assert.equal(await seen('reading'), 'running none/disabled');
    await isWriting('reading');
  });

  it('an epoch that was promised is kept', async () => {
    const { reading } = sites;
    await reading.diesAfter('writeNote', () => reading.fabric.writeEpoch(atReading, 7, act()));
    assert.equal((await reading.fabric.findVm(atReading))?.epoch, 7);
  });

  it('what was carried or sealed without a line is carried again', async () => {
    const { reading, slough } = sites;
    await reading.fabric.enableReplication(atReading, target('slough'), policy, act());
    const map = [
      { from: NetworkId.parse(nameUuid('reading', 'network', 'LAN')), to: NetworkId.parse(nameUuid('slough', 'network', 'LAN')) },
    ];
    await slough.fabric.configureReplica(atSlough, map, act());
    await slough.diesAfter('seal', async () => {
      await reading.fabric.startInitialReplication(atReading, firstCopyNow, act());
      await until('the agent of slough has died', () => slough.deaths > 0, LIMIT_MS);
      throw new Error('it has');
    });
    await reaches('slough', 'off replica/replicating');
    await reaches('reading', 'running primary/replicating');
    const [point] = await slough.fabric.recoveryPoints(atSlough);
    assert.ok(point);
  });

  it('a drill leaves no copy that the book does not know, and none that runs unseen', async () => {
    const { slough } = sites;
    const { fabric } = slough.made.site === slough.fabric ? slough : assert.fail();
    assert.equal(await fabric.findTestCopy(atSlough), null);
    await slough.diesAfter('makeTestCopy', () => slough.fabric.startTestFailover(atSlough, null, act()));
    assert.equal(await slough.fabric.findTestCopy(atSlough), null);
    await slough.fabric.startTestFailover(atSlough, null, act());
    await slough.diesAfter('start', () => slough.fabric.startTestVm(atSlough, act()));
    assert.equal((await slough.fabric.findTestCopy(atSlough))?.power, 'running');
    await slough.diesAfter('remove', () => slough.fabric.stopTestFailover(atSlough, act()));
    assert.equal(slough.made.runningMachines(), 0);
    await slough.fabric.stopTestFailover(atSlough, act());
    assert.equal(await slough.fabric.findTestCopy(atSlough), null);
  });

  it('a failover is there or not, with its note, and so is its taking back', async () => {
    const { slough } = sites;
    await slough.diesAfter('failOver', () => slough.fabric.startFailover(atSlough, null, act()));
    assert.equal(await seen('slough'), 'off replica/replicating');
    assert.equal((await slough.fabric.findVm(atSlough))?.failover, null);
    await slough.fabric.startFailover(atSlough, null, act());
    await slough.diesAfter('start', () => slough.fabric.startVm(atSlough, act()));
    assert.equal(await seen('slough'), 'running replica/failedOverWaitingCompletion');
    await slough.diesAfter('takeBack', () => slough.fabric.stopFailover(atSlough, act()));
    assert.equal(await seen('slough'), 'off replica/failedOverWaitingCompletion');
    await slough.fabric.stopFailover(atSlough, act());
    assert.equal(await seen('slough'), 'off replica/replicating');
    assert.equal(slough.made.runningMachines(), 0);
  });

  it('a planned failover, its commit and its reversal are done when they are asked for again', async () => {
    const { reading, slough } = sites;
    await reading.fabric.stopVm(atReading, act());
    const { last } = topAt('reading');
    await slough.diesAfter('seal', () => reading.fabric.prepareFailover(atReading, act()));
    await until('what is left arrives', () => prepared(reading), LIMIT_MS);
    await slough.fabric.startFailover(atSlough, null, act());
    await slough.fabric.startVm(atSlough, act());
    await slough.diesAfter('commit', () => slough.fabric.completeFailover(atSlough, act()));
    assert.equal(await seen('slough'), 'running replica/failedOverWaitingCompletion');
    await slough.fabric.completeFailover(atSlough, act());
    const back = target('reading');
    await reading.diesAfter('becomeReplica', () => slough.fabric.reverseReplication(atSlough, back, policy, act()));
    await slough.diesAfter('becomePrimary', () => slough.fabric.reverseReplication(atSlough, back, policy, act()));
    await slough.fabric.reverseReplication(atSlough, back, policy, act());
    assert.deepEqual([await seen('slough'), await seen('reading')], ['running primary/replicating', 'off replica/replicating']);
    await isWriting('slough');
    const there = topAt('slough');
    assert.deepEqual([there.missing, there.last > last], [[], true]);
  });

  const prepared = async ({ fabric }: MortalSite): Promise<boolean> =>
    fabric.prepareFailover(atReading, act()).then(
      () => true,
      () => false,
    );

  it('a program of the last life that still has disks open is ended', async () => {
    const { slough } = sites;
    const file = join(slough.made.homeOf(atSlough.vmId), 'left.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, '1M']);
    await slough.made.close();
    const left = spawn('qemu-nbd', ['--persistent', '--pid-file', `${file}.pid`, '--socket', `${file}.socket`, '-f', 'qcow2', file]);
    await until('it serves', () => existsSync(`${file}.pid`), LIMIT_MS);
    await slough.open();
    await until('it is gone', () => left.signalCode === 'SIGKILL', LIMIT_MS);
  });

  it('what is not wanted any more is gone when it is asked for again', async () => {
    const { reading } = sites;
    await reading.diesAfter('endReplication', () => reading.fabric.removeReplication(atReading, act()));
    assert.equal(await seen('reading'), 'off replica/replicating');
    await reading.fabric.removeReplication(atReading, act());
    await reading.diesAfter('remove', () => reading.fabric.deleteVm(atReading, act()));
    await reading.fabric.deleteVm(atReading, act());
    assert.equal(await reading.fabric.findVm(atReading), null);
  });
});
