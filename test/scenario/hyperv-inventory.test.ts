/** What the hosts are asked for the inventory, and what they tell: through the real module in the real PowerShell engine. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fabric } from '../../provider-agent/fabric/fabric.ts';
import type { PowerShellCall, PowerShellHost } from '../../provider-agent/fabric/hyperv/powershell-host.ts';
import { isAtMost, walkOf } from '../contract/contract-walk.ts';
import type { EmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { pairForEach } from '../support/emulated-hyperv/pair-for-each.ts';
import { configOf, type EmulatedPowerShell, fabricOf } from '../support/emulated-hyperv/powershell-fabric.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();

describe('the inventory of plain hosts', { skip: typeof found === 'string' ? found : false }, () => {
  let powerShell: EmulatedPowerShell;
  let pair: EmulatedPair;
  let reader: Fabric;
  /** Names of the VMs that hosts told. */
  let told: string[];
  let losesAnswers = false;
  const { act, replicate, viewOf } = walkOf(() => pair);

  pairForEach(found, (opened, engine) => {
    pair = opened;
    powerShell = engine;
    reader = openReader();
    losesAnswers = false;
  });

  /** A process of the agent that has read nothing yet. */
  function openReader(): Fabric {
    told = [];
    const call = async (one: PowerShellCall): Promise<unknown> => {
      const answer = await powerShell.host.call(one);
      if (one.function === 'Get-FarshoreInventory') told.push(...(answer as { vms: { name: string }[] }).vms.map(({ name }) => name));
      if (losesAnswers) throw new Error('the answer was lost');
      return answer;
    };
    return fabricOf(configOf(pair.sites.primary, []), { call, close: () => {} } as unknown as PowerShellHost);
  }

  const read = async (cursor: string | null) => {
    told = [];
    return reader.readInventory(cursor);
  };
  const measures = () => pair.hyperV.calls.filter(({ cmdlet }) => cmdlet === 'Measure-VMReplication').length;

  it('is told once, and then costs what changed and what went', async () => {
    const [ref, other] = pair.vms;
    const { cursor, vms } = await read(null);
    assert.deepEqual(told.toSorted(), vms.map(({ name }) => name).sort());
    await pair.primary.fabric.writeEpoch(ref, 4, act());
    const changed = await read(cursor);
    const now = await viewOf(pair.primary, ref);
    assert.deepEqual([told, changed.vms], [[now.name], [now]]);
    const calm = await read(changed.cursor);
    assert.deepEqual([told, calm.vms], [[], []]);
    await pair.primary.fabric.stopVm(other, act());
    await pair.primary.fabric.deleteVm(other, act());
    const removal = await read(calm.cursor);
    assert.deepEqual([told, removal.removedVms], [[], [other]]);
    assert.equal((await read(null)).vms.length, vms.length - 1, 'what was not told again is still there');
  });

  it('is told anew to a new process, and again where the answer was lost', async () => {
    const { cursor, vms } = await read(null);
    await pair.primary.fabric.writeEpoch(pair.vms[0], 4, act());
    losesAnswers = true;
    await read(cursor);
    assert.equal(told.length, 1, 'it was told, and did not arrive');
    losesAnswers = false;
    const again = await read(cursor);
    assert.equal(told.length, 1);
    assert.deepEqual(
      again.vms
        .filter(({ power }) => power !== 'critical')
        .map(({ epoch }) => epoch)
        .sort(),
      [0, 4],
    );
    reader = openReader();
    await read(null);
    assert.equal(told.length, vms.length);
  });

  it('counts of the cycles of a primary what Hyper-V counts, and asks for it only with a change', async () => {
    const [ref] = pair.vms;
    await replicate(ref);
    const measured = async () => (await read(null)).vms.find((vm) => vm.ref.vmId === ref.vmId)?.replication.measure;
    await pair.until(async () => ((await measured())?.cycles ?? 0) >= 2);
    const measure = await measured();
    assert.ok(measure && (measure.averageBytes ?? 0) > 0 && isAtMost(measure.averageBytes, measure.maximumBytes));
    assert.deepEqual([measure.missed, measure.errors], [0, 0]);
    assert.equal(typeof measure.averageLatencyMs, 'number');
    assert.ok((measure.since ?? 0) > 0 && (measure.since ?? 0) <= pair.now());
    const before = measures();
    const { cursor } = await read(null);
    await read(cursor);
    assert.deepEqual([told, measures()], [[], before]);
  });
});
