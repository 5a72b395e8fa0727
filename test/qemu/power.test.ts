/** Machines go on and off: asked by the power button, by force, or by themselves, and the site says what is. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import type { Act } from '../../provider-agent/fabric/fabric.ts';
import { nameUuid } from '../../provider-agent/fabric/name-uuid.ts';
import { CommandId, VmId } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { whyNoQemu } from '../support/qemu-guest.ts';
import { diskAt, QemuTestSite } from '../support/qemu-site.ts';
import { until } from '../support/until.ts';

const skip = await whyNoQemu();
const act = (): Act => ({ commandId: CommandId.parse(systemRandom.uuid()), epoch: 1 });
const LIMIT_MS = 30_000;

/** mov dx,602h; mov ax,100h; out dx,ax (listen for the button); wait: mov dx,600h; in ax,dx; test ah,1; jz wait; mov dx,604h; mov ax,2000h; out dx,ax (off). */
const OBEDIENT = 'ba0206b80001efba0006edf6c40174f7ba0406b80020eff4ebfd';

describe('machines go on and off', { skip }, () => {
  let made: QemuTestSite | null = null;
  afterEach(() => made?.end());

  const open = async (machine: string, boot: string | null = null) => {
    made = QemuTestSite.write('reading', 'Gold', ['web'], { machine });
    if (boot !== null) {
      const disk = Buffer.alloc(1024 * 1024);
      Buffer.from(boot, 'hex').copy(disk);
      disk.writeUInt16LE(0xaa55, 510);
      writeFileSync(join(made.folder, 'web.raw'), disk);
    }
    const site = await made.open();
    return { made, site, ref: { cloudId: made.cloudId, vmId: VmId.parse(nameUuid('reading', 'vm', 'Gold', 'web')) } };
  };

  it('a guest that knows the power button shuts itself down by it', async () => {
    const { made: folder, site, ref } = await open('{ bus: ide, shutDown: acpi, shutDownSeconds: 20 }', OBEDIENT);
    // It listens a moment after its start.
    await until('it is off', () => site.stopVm(ref, act()).then(() => true), LIMIT_MS);
    assert.deepEqual([(await site.findVm(ref))?.power, folder.runningMachines()], ['off', 0]);
  });

  it('a guest that does not listen goes on, and the refusal says so', async () => {
    const { made: folder, site, ref } = await open('{ bus: ide, shutDown: acpi, shutDownSeconds: 1 }');
    await assert.rejects(site.stopVm(ref, act()), {
      code: 'ERR_FABRIC_FAILED',
      errorId: 'OperationTimeout',
      message: /did not shut itself down/,
    });
    assert.deepEqual([(await site.findVm(ref))?.power, folder.runningMachines()], ['running', 1]);
    const { last } = diskAt(folder.homeOf(ref.vmId));
    await until('it writes on', () => diskAt(folder.homeOf(ref.vmId)).last > last, LIMIT_MS);
  });

  it('a machine whose process dies is off, without anybody asking', async () => {
    const { made: folder, site, ref } = await open('{ bus: ide, answers: { says: RECORD } }');
    await until('the guest answers', () => site.guestAnswers(ref), LIMIT_MS);
    assert.equal(folder.killMachines(), 1);
    await until('it is off', async () => (await site.findVm(ref))?.power === 'off', LIMIT_MS);
    assert.equal(await site.guestAnswers(ref), false);
    await site.startVm(ref, act());
    await until('it writes again', () => diskAt(folder.homeOf(ref.vmId)).starts === 2, LIMIT_MS);
  });

  it('machines go on without the agent, and the next one finds them', async () => {
    const { made: folder, ref } = await open('{ bus: ide }');
    await folder.close();
    assert.equal(folder.runningMachines(), 1);
    const site = await folder.open();
    assert.equal((await site.findVm(ref))?.power, 'running');
    await site.close();
    folder.killMachines();
    const later = await folder.open();
    assert.equal((await later.findVm(ref))?.power, 'off');
  });
});
