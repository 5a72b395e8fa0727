/** Scripts as files: who may have written them, that the bytes checked are the bytes run, and how they end. On a real system. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ScriptFolder } from '../../provider-agent/scripts/script-folder.ts';
import { interpreterOf, isScriptName } from '../../provider-agent/scripts/script-name.ts';
import { strangersIn } from '../../provider-agent/scripts/windows-acl.ts';
import type { CommandId } from '../../shared/ids.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { until } from '../support/until.ts';

const isWindows = process.platform === 'win32';
const onPosix = { skip: isWindows ? 'needs a POSIX system: shell scripts, owners and modes' : false };

function siteWith(t: TestContext, scripts: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), 'farshore-scripts-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const [folder, workFolder] = [join(root, 'scripts'), join(root, 'work')];
  mkdirSync(folder, { mode: 0o755 });
  for (const [name, text] of Object.entries(scripts)) writeFileSync(join(folder, name), text, { mode: 0o644 });
  const logged: string[] = [];
  const log = (_fields: object, text: string) => void logged.push(text);
  const ports = { workFolder, clock: systemClock, random: systemRandom, log: { info: log, warn: log, error: log } };
  const site = new ScriptFolder({ folder, ...ports });
  const digestOf = (name: string) =>
    createHash('sha256')
      .update(scripts[name] ?? '')
      .digest('hex');
  const run = (name: string, over: { sha256?: string; input?: string; limitMs?: number } = {}) =>
    site.run({
      name,
      sha256: digestOf(name),
      commandId: 'job/step/1' as CommandId,
      input: '{}',
      environment: {},
      limitMs: 20_000,
      ...over,
    });
  const outputOf = ({ outputRef }: { outputRef: string }) => readFileSync(join(workFolder, 'script-output', `${outputRef}.txt`), 'utf8');
  return { root, folder, workFolder, site, run, outputOf, digestOf, logged, none: new ScriptFolder({ folder: null, ...ports }) };
}

describe('a script of the site', onPosix, () => {
  test('reads its document from standard input, sees the variables, and its output and exit code are kept', async (t) => {
    const site = siteWith(t, { 'say.sh': 'cat; echo "group $FARSHORE_GROUP" >&2; exit 7' });
    const order = { environment: { FARSHORE_GROUP: 'databases' }, input: '{"plan":"shop; rm -rf /"}' };
    const end = await site.run('say.sh', order as never);
    assert.equal(end.exitCode, 7);
    assert.equal(site.outputOf(end), '{"plan":"shop; rm -rf /"}group databases\n');
    assert.deepEqual(readdirSync(join(site.workFolder, 'script-run')), [], 'its copy is gone');
  });

  test('is given nothing of the environment of the agent but what a program needs', async (t) => {
    process.env.HTTPS_PROXY = 'http://kim:secret@proxy:3128';
    t.after(() => delete process.env.HTTPS_PROXY);
    const site = siteWith(t, { 'env.sh': 'env' });
    const end = await site.run('env.sh');
    assert.match(site.outputOf(end), /^PATH=/m);
    assert.doesNotMatch(site.outputOf(end), /secret/);
  });

  test('that is not the one of the plan is not run', async (t) => {
    const site = siteWith(t, { 'touch.sh': 'touch ran' });
    await assert.rejects(site.run('touch.sh', { sha256: '0'.repeat(64) }), { code: 'ERR_SCRIPT_CHANGED' });
    assert.ok(!existsSync(join(site.workFolder, 'script-run')));
  });

  test('is run as it was when it was checked, also when it is changed a moment later', async (t) => {
    const site = siteWith(t, { 'slow.sh': 'sleep 0.3\necho original\n' });
    const running = site.run('slow.sh');
    await until(
      'it runs',
      () => existsSync(join(site.workFolder, 'script-run')) && readdirSync(join(site.workFolder, 'script-run')).length > 0,
    );
    writeFileSync(join(site.folder, 'slow.sh'), 'sleep 0.3\necho changed\n');
    assert.equal(site.outputOf(await running), 'original\n');
  });

  test('is refused when others may write to it, to its folder or to a folder above', async (t) => {
    const site = siteWith(t, { 'fine.sh': 'true' });
    for (const [path, mode] of [
      [join(site.folder, 'fine.sh'), 0o666],
      [join(site.folder, 'fine.sh'), 0o664],
      [site.folder, 0o777],
      [site.folder, 0o1777],
      [site.root, 0o777],
    ] as const) {
      chmodSync(path, mode);
      await assert.rejects(site.run('fine.sh'), { code: 'ERR_SCRIPTS_UNSAFE' }, `${path} ${mode.toString(8)}`);
      assert.deepEqual(await site.site.list(), []);
      chmodSync(path, 0o755);
    }
    assert.equal((await site.run('fine.sh')).exitCode, 0);
  });

  test('is no path, no link and no pipe', async (t) => {
    const site = siteWith(t, { 'fine.sh': 'true' });
    writeFileSync(join(site.root, 'outside.sh'), 'true');
    symlinkSync(join(site.root, 'outside.sh'), join(site.folder, 'link.sh'));
    for (const name of ['../outside.sh', 'link.sh', '/etc/passwd', 'fine.sh/..', '..', 'fine.sh\0.sh', '.hidden.sh', 'a\\b.sh', 'none.sh'])
      await assert.rejects(site.run(name), { code: 'ERR_SCRIPT_MISSING' }, name);
    assert.deepEqual(await site.site.list(), [{ name: 'fine.sh', sha256: site.digestOf('fine.sh') }]);
  });

  test('is ended at its limit with everything that it has started', async (t) => {
    const site = siteWith(t, { 'hang.sh': 'sleep 300 & echo $!; sleep 300' });
    const end = await site.run('hang.sh', { limitMs: 400 });
    assert.equal(end.exitCode, null);
    const child = Number(site.outputOf(end).trim());
    assert.ok(child > 0, 'it had started another');
    await until('the other is gone', () => !isAlive(child));
  });

  test('ends although something that it left behind still holds its output', async (t) => {
    const site = siteWith(t, { 'leave.sh': 'sleep 20 & echo $!' });
    const end = await site.run('leave.sh');
    assert.equal(end.exitCode, 0);
    assert.ok(end.durationMs < 10_000, `${end.durationMs} ms`);
    process.kill(Number(site.outputOf(end).trim()), 'SIGKILL');
  });

  test('may say more than is kept, and read nothing', async (t) => {
    const site = siteWith(t, { 'flood.sh': 'head -c 3000000 /dev/zero | tr "\\0" x' });
    const end = await site.run('flood.sh', { input: 'y'.repeat(500_000) });
    assert.equal(end.exitCode, 0);
    const output = site.outputOf(end);
    assert.match(output, /\[cut after 1048576 bytes\]\n$/);
    assert.ok(output.length < 1_100_000);
  });

  test('cannot be started where its interpreter is missing', async (t) => {
    const site = siteWith(t, { 'a.ps1': '1' });
    const path = process.env.PATH;
    process.env.PATH = site.root;
    t.after(() => (process.env.PATH = path));
    await assert.rejects(site.run('a.ps1'), { code: 'ERR_SCRIPT_FAILED' });
  });

  test('is not there where the agent has no folder', async (t) => {
    const { none, run } = siteWith(t, {});
    assert.deepEqual(await none.list(), []);
    await assert.rejects(run('fine.sh'), { code: 'ERR_SCRIPT_MISSING' });
  });
});

function isAlive(pid: number): boolean {
  try {
    // A process that nobody has waited for yet still has its number: it is dead all the same.
    if (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.startsWith('Z')) return false;
  } catch {
    // No such system file, or no such process: the signal tells.
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('on Windows', () => {
  test('a script is run by Windows PowerShell from its own folder, without profile and without questions, as a file', () => {
    const { file, args } = interpreterOf('a.ps1', 'C:\\work\\a.ps1', 'win32', { SystemRoot: 'C:\\Windows' });
    assert.match(file, /^C:\\Windows.System32.WindowsPowerShell.v1\.0.powershell\.exe$/);
    assert.deepEqual(args, ['-NoProfile', '-NonInteractive', '-File', 'C:\\work\\a.ps1']);
    assert.throws(() => interpreterOf('a.sh', 'C:\\work\\a.sh', 'win32', {}), { code: 'ERR_SCRIPT_FAILED' });
  });

  test('no name stands for a device, a stream or another folder', () => {
    for (const name of ['con.ps1', 'NUL.ps1', 'com1.x.ps1', 'a.ps1:stream', 'a.ps1 ', 'a.ps1.', '..\\a.ps1', 'a.exe'])
      assert.equal(isScriptName(name), false, name);
    assert.equal(isScriptName('Move-Name.ps1'), true);
  });

  test('the access list tells who but administrators may write', () => {
    const strangers = (list: string) => strangersIn(`O:BAG:SYD:${list}`);
    assert.deepEqual(strangers('PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)'), []);
    assert.deepEqual(strangers('AI(A;OICIID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;CIID;LC;;;BU)'), ['BU']);
    assert.deepEqual(strangers('(A;;FA;;;BA)(A;;0x1301bf;;;AU)(D;;FA;;;WD)'), ['AU']);
    assert.deepEqual(strangers('(A;;0x100116;;;S-1-5-21-1-2-3-1001)'), ['S-1-5-21-1-2-3-1001']);
    assert.deepEqual(strangersIn('O:S-1-5-21-1-2-3-1001D:(A;;FA;;;BA)'), ['S-1-5-21-1-2-3-1001']);
    for (const open of ['O:BAG:SY', 'O:BAD:NO_ACCESS_CONTROL', '', 'rubbish']) assert.deepEqual(strangersIn(open), [open]);
  });
});
