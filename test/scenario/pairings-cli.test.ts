/** Changing and moving a pairing as a person meets it: what is not named stays, what is deleted is asked for, what is behind is told. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ApiWorld, PASSWORD } from '../support/api-world.ts';
import { until } from '../support/until.ts';

async function signedIn(t: TestContext) {
  const world = await ApiWorld.open(t);
  const kim = await world.addVault('Northgate', 'kim');
  await world.addSite(kim, 'Reading', 'Production', ['web-01', 'web-02']);
  const slough = await world.addSite(kim, 'Slough', 'Recovery');
  await world.addSite(kim, 'Bath', 'Tin');
  await world.cli(['sign-in', 'kim', '--address', world.address, '--ca', world.caFile], { input: `${PASSWORD}\n` });
  const cli = async (...args: string[]) => {
    const { code, stdout, stderr } = await world.cli(args);
    assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`);
    return stdout + stderr;
  };
  return { world, kim, slough, cli };
}

test('a policy file names what is to be another; fewer recovery points want a reason; who is behind is told and brought up', async (t) => {
  const { world, kim, cli } = await signedIn(t);
  const policy = async (text: string) => {
    const file = path.join(path.dirname(world.caFile), 'policy.yaml');
    await writeFile(file, text);
    return file;
  };
  const clouds = ['--primary', 'Reading/Production', '--recovery', 'Slough/Recovery'];
  const first = await policy('additionalRecoveryPoints: 6\napplicationConsistentHours: 4\n');
  await cli('pairings', 'create', '--name', 'main', ...clouds, '--policy', first);
  await cli('protect', 'main', '--all');

  await cli('pairings', 'change', 'main', '--policy', await policy('copyFrequencySeconds: 900\n'));
  const [pairing] = await world.store.promises.pairings(kim.vaultId);
  const { copyFrequencySeconds, additionalRecoveryPoints, applicationConsistentHours } = pairing?.policy ?? {};
  assert.deepEqual([copyFrequencySeconds, additionalRecoveryPoints, applicationConsistentHours], [900, 6, 4]);

  const both = await world.cli(['pairings', 'change', 'main', '--policy', await policy('additionalRecoveryPoints: 3\n')]);
  assert.match(both.stderr, /policy.applicationConsistentHours +must be less than additionalRecoveryPoints/);
  const fewer = ['pairings', 'change', 'main', '--policy', await policy('additionalRecoveryPoints: 5\n')];
  const refused = await world.cli(fewer);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /web-01 +loses up to 1 recovery point\n/);
  assert.match(refused.stderr, /ERR_POINTS_WOULD_GO[\s\S]*--delete-recovery-points/);
  world.answers = ({ command }) =>
    command.kind === 'replication.setPolicy' ? { status: 'failed', code: 'ERR_FABRIC_FAILED', logRef: '' } : null;
  await cli(...fewer, '--delete-recovery-points', 'the storage is full', '--no-follow');
  const list = await cli('vms', 'list');
  assert.match(list, /web-01 +protected .* BEHIND ITS PAIRING/);
  assert.match(list, /BEHIND ITS PAIRING: 2 of 2 VMs[\s\S]*farshore pairings apply/);
});

test('a pairing is moved away from a dark site only if a person says that it is gone, and tells which rules go with it', async (t) => {
  const { world, kim, slough, cli } = await signedIn(t);
  for (const [name, recovery] of [
    ['main', 'Slough/Recovery'],
    ['bath', 'Bath/Tin'],
  ] as const)
    await cli('pairings', 'create', '--name', name, '--primary', 'Reading/Production', '--recovery', recovery);
  await cli('protect', 'main', 'web-01');
  await cli('rules', 'add', 'main', '--name', 'web-*');
  world.connected.delete(slough.id);
  const answered = world.answers;
  world.answers = (command) => (command.command.kind === 'replica.remove' ? null : answered(command));
  const move = ['pairings', 'move', 'main', '--to', 'bath', '--reason', 'Slough burned down'];
  const refused = await world.cli(move);
  assert.match(refused.stderr, /no agent is connected at Slough \(ERR_AGENT_OFFLINE\)/);
  assert.match(await cli(...move, '--force'), /these rules hold for bath now: VMs named web-\*/);
  assert.match(await cli('rules', 'list'), /bath +VMs named web-\* +kim/);
  await until('it is copied', async () => {
    const [vm] = await world.store.promises.protectedVms(kim.vaultId);
    return vm?.phase === 'protected' && vm.busyWith === null;
  });
  assert.match(await cli('vms', 'list'), /web-01 +protected .* bath/);
  assert.match(await cli('jobs', 'list'), /main to bath .*in progress/);
});
