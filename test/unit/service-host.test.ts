/** The host of the Windows service: what Windows compiles, and how it cares for the agent's process, which runs here too. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { launchText } from '../../provider-agent/service/definition.ts';
import { type BuiltServiceHost, buildServiceHost } from '../support/service-host.ts';
import { until } from '../support/until.ts';

const found = await buildServiceHost();
const skip = typeof found === 'string' ? found : false;
const built = found as BuiltServiceHost;
const folder = mkdtempSync(join(tmpdir(), 'farshore service Größe '));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The driver with a script as its agent; what it said, line by line. */
function hosted(script: string, launch?: string): { child: ChildProcessWithoutNullStreams; lines: string[] } {
  const file = join(folder, 'agent.mjs');
  const launchFile = join(folder, 'launch.txt');
  writeFileSync(file, script);
  writeFileSync(launchFile, launch ?? launchText(process.execPath, file, folder));
  const child = spawn('dotnet', [built.driver, launchFile, '1000']);
  const lines: string[] = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.map((line) => line.trimEnd()));
  });
  return { child, lines };
}

async function stop(child: ChildProcessWithoutNullStreams): Promise<void> {
  child.stdin.end('stop\n');
  await once(child, 'close');
}

const STAYS = 'setInterval(() => {}, 1000);';
const LISTENS = "process.stdin.resume().on('end', () => { console.log('farshore-event 101 information ended'); process.exit(0); });";

describe('the host of the service', { skip }, () => {
  test('is compiled by the arguments that the compiler of Windows is given, as C# 5 against the .NET Framework', () => {
    const out = join(folder, 'host with spaces.exe');
    assert.equal(built.compile(out), '');
    assert.equal(readFileSync(out).subarray(0, 2).toString(), 'MZ');
    assert.ok(statSync(out).size > 4000);
  });

  test('hands arguments over as they are, whatever signs they hold', async () => {
    const odd = [
      'plain',
      'two words',
      'quote " inside',
      'ends with \\',
      '\\\\server\\share\\',
      'Größe 試験',
      '\\"',
      'a\\\\"b',
      '$(x) %PATH% & | ^',
    ];
    const file = join(folder, 'agent.mjs');
    const script = `console.log('farshore-event 1 information ' + JSON.stringify(process.argv.slice(2))); ${LISTENS}`;
    const { child, lines } = hosted(script, [process.execPath, file, ...odd].join('\r\n'));
    await until('the agent has told', () => lines.length > 0, 15_000);
    await stop(child);
    assert.deepEqual(JSON.parse((lines[0] ?? '').replace('told 1 information ', '')), odd);
  });

  test('stops the agent by the end of its input, and passes on what it says until its end', async () => {
    const { child, lines } = hosted(`console.log('farshore-event 100 information runs: ünï'); console.log('{"level":30}'); ${LISTENS}`);
    await until('the agent runs', () => lines.includes('told 100 information runs: ünï'), 15_000);
    await stop(child);
    assert.deepEqual(lines.slice(1), ['told 101 information ended', 'stopped True']);
  });

  test('ends an agent that does not stop within the limit', async () => {
    const { child, lines } = hosted(`console.log('farshore-event 1 information ' + process.pid); ${STAYS}`);
    await until('the agent runs', () => lines.length > 0, 15_000);
    await stop(child);
    assert.deepEqual(lines.slice(1), ['stopped False']);
    const pid = Number(lines[0]?.split(' ').at(-1));
    await until('the agent is gone', () => !isAlive(pid), 5_000);
  });

  test('tells that the agent ended by itself, with its exit code and its last words', async () => {
    const { child, lines } = hosted("console.error('agent.yaml:2: port'); console.log('and this'); process.exitCode = 2;");
    await until('the agent has ended', () => lines.length > 0, 15_000);
    await stop(child);
    assert.match(lines[0] ?? '', /^fell 2 /);
    assert.match(lines[0] ?? '', /agent\.yaml:2: port/);
    assert.match(lines[0] ?? '', /and this/);
  });

  test('does not wait for what an agent has left running', async () => {
    const script = `import { spawn } from 'node:child_process';
const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
left.unref();
console.log('farshore-event 1 information ' + left.pid);
process.stdin.resume().on('end', () => process.exit(0));`;
    const { child, lines } = hosted(script);
    await until('the agent runs', () => lines.length > 0, 15_000);
    const left = Number(lines[0]?.split(' ').at(-1));
    try {
      child.stdin.end('stop\n');
      await until('it has stopped', () => lines.includes('stopped True'), 15_000);
      assert.ok(isAlive(left), 'it is still there');
    } finally {
      process.kill(left, 'SIGKILL');
    }
  });

  test('leaves no agent behind when it is killed itself', async () => {
    const marker = join(folder, 'ended');
    mkdirSync(marker, { recursive: true });
    const script = `import { writeFileSync } from 'node:fs'; console.log('farshore-event 1 information ' + process.pid);
process.stdin.resume().on('end', () => { writeFileSync(${JSON.stringify(join(marker, 'yes'))}, ''); process.exit(0); });`;
    const { child, lines } = hosted(script);
    await until('the agent runs', () => lines.length > 0, 15_000);
    child.kill('SIGKILL');
    const pid = Number(lines[0]?.split(' ').at(-1));
    await until('the agent has ended', () => !isAlive(pid), 10_000);
    assert.equal(readFileSync(join(marker, 'yes'), 'utf8'), '');
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
