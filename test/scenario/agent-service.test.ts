/** The agent as the host of a Windows service runs it, on any system. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Host } from '../support/agent-host.ts';

const events = (output: string): string[] => output.split('\n').flatMap((line) => /^farshore-event (\d+ \w+)/.exec(line)?.slice(1) ?? []);

test('an agent that runs as a service tells of its start and its end, logs to files, and stops at the end of its input', async (t) => {
  const host = await Host.make(t);
  const { child, output } = await host.startUntil('farshore-event 100', '--service');
  await host.server.message('hello');
  child.stdin.end();
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 0);
  assert.deepEqual(events(output()), ['100 information', '101 information']);
  const log = await readFile(join(host.folder, 'logs', 'agent.log'), 'utf8');
  for (const line of ['agent ready', 'agent stops', 'agent stopped']) assert.match(log, new RegExp(`"msg":"${line}"`));
  assert.equal(output().includes('"msg"'), false, 'the log is in the file alone');
});

test('a command under an older decision is told as an event, and a journal that is damaged, in words that say what to do', async (t) => {
  const host = await Host.make(t);
  const { child, output } = await host.startUntil('farshore-event 100', '--service');
  const { vms } = await host.server.message('inventory.changed');
  const vm = vms[0] ?? assert.fail('no VM');
  const command = { kind: 'vm.start', args: { vm: vm.ref, guestAnswersWithinSeconds: 0 } } as const;
  host.send(command, 'job/start/1', 5);
  await host.server.message('command.finished');
  host.send(command, 'job/start/2', 4);
  await host.server.message('command.finished', 2);
  child.stdin.end();
  await once(child, 'close');
  assert.deepEqual(events(output()), ['100 information', '300 warning', '101 information']);
  assert.match(output(), /ownership decision.*ERR_EPOCH_STALE/);

  await writeFile(join(host.folder, 'agent.db'), 'no database at all '.repeat(500));
  const run = await host.run('run', '--data', host.folder, '--service');
  assert.equal(run.code, 1);
  assert.deepEqual(events(run.out), ['400 error']);
  assert.match(run.out, /register the agent again with a new key.*ERR_JOURNAL_DAMAGED/);
});

test('an agent that cannot start as a service says all mistakes of agent.yaml in one event, and ends with the code of a mistake', async (t) => {
  const host = await Host.make(t);
  await writeFile(join(host.folder, 'agent.yaml'), 'fabric: { kind: simulated, site: site.yaml }\nport: 443\nlog: { files: 0 }\n');
  const run = await host.run('run', '--data', host.folder, '--service');
  assert.equal(run.code, 2);
  assert.deepEqual(events(run.out), ['401 error']);
  assert.match(run.out, /port.*log\.files|log\.files.*port/);
});

test('services are managed on Windows alone, what would be done is shown anywhere, and mistakes are told with what is allowed', async (t) => {
  const host = await Host.make(t);
  const install = ['service', 'install', '--data', host.folder];
  const elsewhere = await host.run(...install, '--account', 'CORP\\farshore$');
  assert.equal(elsewhere.code, 2);
  assert.match(elsewhere.error, /services are of Windows/);
  const shown = await host.run(...install, '--account', 'CORP\\farshore$', '--what-if', '--json');
  assert.equal(shown.code, 0);
  const deeds = JSON.parse(shown.out) as { kind: string; command?: { args: string[] } }[];
  assert.deepEqual(
    deeds.flatMap(({ command }) => (command?.args[0] === 'create' ? [command.args.slice(-4, -2)] : [])),
    [['obj=', 'CORP\\farshore$']],
  );
  const refused = await host.run(...install, '--account', 'LocalSystem', '--what-if');
  assert.equal(refused.code, 2);
  assert.match(refused.error, /--account.*allowed: a group managed service account/);
  const without = await host.run('service', 'install');
  assert.deepEqual([without.code, /'--data <dir>' not specified/.test(without.error)], [2, true]);
  const help = await host.run('service', 'upgrade', '--help');
  assert.match(help.out, /goes back to it later/);
});
