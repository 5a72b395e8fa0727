/** A site of real machines opens: it is the only one on its folder, and what is wrong with one VM holds up no other. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import type { Act } from '../../provider-agent/fabric/fabric.ts';
import { nameUuid } from '../../provider-agent/fabric/name-uuid.ts';
import { QemuSite, qemuSiteParts } from '../../provider-agent/fabric/qemu/open-qemu.ts';
import { CommandId, VmId, type VmRef } from '../../shared/ids.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { whyNoQemu } from '../support/qemu-guest.ts';
import { QemuTestSite } from '../support/qemu-site.ts';

const skip = await whyNoQemu();
const act = (): Act => ({ commandId: CommandId.parse(systemRandom.uuid()), epoch: 1 });

describe('a site of real machines opens', { skip }, () => {
  let made: QemuTestSite;
  afterEach(() => made.end());

  const refOf = (name: string): VmRef => ({ cloudId: made.cloudId, vmId: VmId.parse(nameUuid('reading', 'vm', 'Gold', name)) });
  const powerOf = async (name: string) => (await made.site.findVm(refOf(name)))?.power;

  it('a second agent on the folder of its machines is refused, until the first has ended', async () => {
    made = QemuTestSite.write('reading', 'Gold', ['web']);
    await made.open();
    const other = { text: made.text, fileName: made.file, databaseFile: join(made.folder, 'other.db') };
    const openOther = async () => QemuSite.open(await qemuSiteParts({ ...other, clock: systemClock, random: systemRandom }));
    await assert.rejects(openOther, { code: 'ERR_CONFLICT', message: /another agent keeps the machines in .*: stop it/ });
    await made.site.stopVm(refOf('web'), act());
    assert.equal(await powerOf('web'), 'off', 'the first goes on');
    await made.close();
    await (await openOther()).close();
  });

  it('a machine that hangs holds up itself alone, and is brought together when it goes on', async () => {
    made = QemuTestSite.write('reading', 'Gold', ['web', 'db']);
    await made.open();
    await made.close();
    const pid = made.pidOf(refOf('web').vmId);
    process.kill(pid, 'SIGSTOP');
    await made.open();
    await made.site.stopVm(refOf('db'), act());
    assert.equal(await powerOf('db'), 'off');
    process.kill(pid, 'SIGCONT');
    await made.site.stopVm(refOf('web'), act());
    assert.equal(await powerOf('web'), 'off');
    assert.equal(made.runningMachines(), 0);
  });

  it('a VM whose files are damaged holds up itself alone, and nothing is done to it', async () => {
    made = QemuTestSite.write('reading', 'Gold', ['web', 'db']);
    await made.open();
    await made.close();
    writeFileSync(join(made.homeOf(refOf('web').vmId), 'points.json'), '{');
    await made.open();
    await made.site.stopVm(refOf('db'), act());
    assert.equal(await powerOf('db'), 'off');
    await assert.rejects(made.site.stopVm(refOf('web'), act()), {
      code: 'ERR_FABRIC_FAILED',
      message: /could not be brought together.*JSON/,
    });
    assert.equal(await powerOf('web'), 'running');
    assert.equal(made.runningMachines(), 1);
  });
});
