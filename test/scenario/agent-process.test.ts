import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../../provider-agent/state/open-database.ts';
import type { CloudId, VmId } from '../../shared/ids.ts';
import { pause } from '../../shared/ports.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { Host } from '../support/agent-host.ts';
import { generated, siteText } from '../support/simulated-sites.ts';
import { until } from '../support/until.ts';

test('the agent runs as a process: reports its site, does a command, tells the host, and stops when asked', async (t) => {
  const host = await Host.make(t);
  const child = await host.start();
  const inventory = await host.server.message('inventory.changed');
  assert.deepEqual([inventory.full, inventory.vms.length, inventory.vms[0]?.power], [true, 3, 'running']);

  const [vm] = inventory.vms;
  assert.ok(vm);
  host.send({ kind: 'vm.start', args: { vm: vm.ref, guestAnswersWithinSeconds: 30 } }, 'job/start/1');
  const { finished } = await host.server.message('command.finished');
  assert.equal(finished[0]?.outcome.status, 'done');

  const second = await host.run('run', '--data', host.folder);
  assert.equal(second.code, 5);
  assert.match(second.error, /another agent runs/);

  const status = JSON.parse((await host.run('status', '--data', host.folder, '--json')).out);
  assert.deepEqual([status.isRunning, status.last.channel.state, status.commands.unconfirmed], [true, 'connected', 1]);

  const egress = (await host.run('egress', '--data', host.folder)).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    egress.map(({ message }) => message).filter(({ type }) => type !== 'enrol.renew'),
    host.server.received,
  );

  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 0);
  const after = JSON.parse((await host.run('status', '--data', host.folder, '--json')).out);
  assert.deepEqual([after.isRunning, after.last.channel.state], [false, 'stopped']);
});

test('a fault that is not there cannot be lifted, and a day that is none is told', async (t) => {
  const host = await Host.make(t);
  const at = ['--data', host.folder];
  const ordered = await host.run('fault', 'order', ...at, '{ kind: siteDark }');
  assert.match(ordered.out, /fault 1 is ordered/);
  const lifted = await host.run('fault', 'lift', ...at, '1');
  assert.match(lifted.out, /fault 1 is lifted/);
  const again = await host.run('fault', 'lift', ...at, '1');
  assert.deepEqual([again.code, again.out], [2, '']);
  assert.match(again.error, /no fault 1 is ordered here/);
  const day = await host.run('egress', ...at, '--day', '2026-13-01');
  assert.equal(day.code, 2);
  assert.match(day.error, /a day, such as 2026-11-23/);
});

test('an agent killed in the middle of a start finishes it in its next life when it is asked again, and starts the VM once', async (t) => {
  const host = await Host.make(t);
  const slow = siteText(
    'reading',
    { gold: generated('gold', 1).replace('cores: 1', 'power: off, cores: 1') },
    'timings: { startVm: 1500 ms }',
  );
  await writeFile(join(host.folder, 'site.yaml'), slow);
  const child = await host.start();
  const inventory = await host.server.message('inventory.changed');
  const ref = inventory.vms[0]?.ref ?? { cloudId: '' as CloudId, vmId: '' as VmId };
  const send = () => host.send({ kind: 'vm.start', args: { vm: ref, guestAnswersWithinSeconds: 30 } }, 'job/start/1');
  send();
  await host.server.message('command.progress');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(
    host.server.received.some(({ type }) => type === 'command.finished'),
    false,
  );

  const second = await host.start();
  await host.server.message('hello', 2);
  send();
  const { finished } = await host.server.message('command.finished');
  assert.equal(finished[0]?.outcome.status, 'done');
  second.kill('SIGTERM');
  await once(second, 'exit');
  const site = await openDatabase(join(host.folder, 'site.db'), { readonly: true });
  const starts = site.prepare("SELECT count(*) AS n FROM power_change WHERE change = 'on'").get();
  site.close();
  assert.deepEqual(starts, { n: 1 });
});

test('a fault is ordered at the running site from the command line, and is met', async (t) => {
  const host = await Host.make(t);
  await host.start();
  const inventory = await host.server.message('inventory.changed');
  const ordered = await host.run('fault', 'order', '--data', host.folder, '{ kind: fails, operation: writeEpoch, times: 1 }');
  assert.deepEqual([ordered.code, ordered.out], [0, 'fault 1 is ordered\n']);
  const { ref } = inventory.vms[0] ?? assert.fail('no VM');
  await until('the site has seen the fault', () => {
    host.send({ kind: 'vm.start', args: { vm: ref, guestAnswersWithinSeconds: 0 } }, `job/start/${systemRandom.uuid()}`);
    const outcomes = host.server.received.flatMap((m) => (m.type === 'command.finished' ? m.finished : []));
    return outcomes.some(({ outcome }) => outcome.status === 'failed' && outcome.code === 'ERR_FABRIC_FAILED');
  });

  const mistake = await host.run('fault', 'order', '--data', host.folder, '{ kind: explodes }');
  assert.equal(mistake.code, 2);
  assert.match(mistake.error, /kind/);
});

test('mistakes in agent.yaml are told all at once with their lines, and nothing is started', async (t) => {
  const host = await Host.make(t);
  await writeFile(
    join(host.folder, 'agent.yaml'),
    'fabric: { kind: simulated, site: site.yaml }\ninventoryEverySeconds: often\nport: 443\n',
  );
  const { code, error } = await host.run('run', '--data', host.folder);
  assert.equal(code, 2);
  assert.match(error, /agent\.yaml:2:\d+ {2}inventoryEverySeconds/);
  assert.match(error, /agent\.yaml:3:\d+ {2}port/);
});

test('a proxy with credentials is not taken from an argument', async (t) => {
  const host = await Host.make(t);
  const identity = await readFile(join(host.folder, 'identity.json'), 'utf8');
  const keyFile = join(host.folder, 'key.txt');
  await writeFile(keyFile, 'FS1.e30');
  const { code, error } = await host.run(
    'register',
    '--data',
    host.folder,
    '--key-file',
    keyFile,
    '--proxy',
    'http://me:CANARY@proxy:3128',
  );
  assert.equal(code, 2);
  assert.match(error, /not taken from an argument/);
  assert.doesNotMatch(error, /CANARY/);
  assert.equal(await readFile(join(host.folder, 'identity.json'), 'utf8'), identity);
});

test('an agent whose journal cannot be opened says so and ends: it does not stay as a process that does nothing', async (t) => {
  const host = await Host.make(t);
  await writeFile(join(host.folder, 'agent.db'), 'no database at all '.repeat(500));
  const run = await Promise.race([host.run('run', '--data', host.folder), pause(systemClock, 15_000)]);
  assert.ok(run, 'it ended');
  assert.equal(run.code, 1);
  assert.match(run.error, /cannot open .*agent\.db/);
});
