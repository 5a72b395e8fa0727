/** The PowerShell host survives whatever its processes do. They are small programs here that misbehave by order; no PowerShell is needed. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { PowerShellHost, type PowerShellHostOptions } from '../../provider-agent/fabric/hyperv/powershell-host.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { until } from '../support/until.ts';

/** Does what `function` says; `answer` is an honest answer, with the id of the process. */
const program = `
const say = (text) => process.stdout.write(text);
const tell = (id, rest) => say(JSON.stringify({ id, ...rest }) + '\\n');
const done = (id) => tell(id, { ok: true, value: { pid: process.pid } });
const hostile = {
  answer: ({ id, arguments: given }) => tell(id, { ok: true, value: { pid: process.pid, given } }),
  refuse: ({ id, arguments: error }) => tell(id, { ok: false, error }),
  garbage: ({ id }) => { say('WARNING: {"id": 1}\\n{not json\\n{"id":"' + id + '"}\\nnull\\n'); tell('someone else', { ok: true, value: 'forged' }); done(id); },
  inPieces: ({ id }) => { const text = JSON.stringify({ id, ok: true, value: 'Zürich' }) + '\\r\\n'; const bytes = Buffer.from(text); const at = bytes.indexOf(0xc3) + 1;
    process.stdout.write(bytes.subarray(0, at)); setTimeout(() => process.stdout.write(bytes.subarray(at)), 20); },
  hang: () => {},
  hangWithChild: () => { const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']); process.stderr.write('child ' + child.pid + '\\n'); },
  floodOfLines: () => setInterval(() => say('x'.repeat(1000) + '\\n'), 0),
  floodWithoutEnd: () => setInterval(() => say('{' + 'x'.repeat(5000)), 0),
  halfLine: ({ id }) => { say(JSON.stringify({ id, ok: true, value: 1 }).slice(0, -3)); setTimeout(() => process.exit(0), 20); },
  exitWithErrorText: () => { process.stderr.write('Access is denied.\\n', () => process.exit(0)); },
  die: () => process.kill(process.pid, 'SIGKILL'),
  answerAndDie: ({ id }) => { say(JSON.stringify({ id, ok: true, value: 'last' }) + '\\n', () => process.exit(0)); setTimeout(() => process.exit(0), 50); },
};
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => { const request = JSON.parse(line); hostile[request.function](request); }).on('close', () => process.exit(0));
done('ready');
`;

let host: PowerShellHost;

function open(over: Partial<PowerShellHostOptions> = {}, code = program): PowerShellHost {
  host = new PowerShellHost({
    program: { file: process.execPath, args: ['-e', code], environment: process.env },
    limits: { startMs: 30_000, answerBytes: 64 * 1024, noiseBytes: 16 * 1024 },
    atOnce: 2,
    clock: systemClock,
    random: systemRandom,
    ...over,
  });
  return host;
}

const call = (name: string, given: Record<string, unknown> = {}, limitMs = 30_000) =>
  host.call({ function: name, arguments: given, limitMs }) as Promise<{ pid: number; given: unknown }>;

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('the PowerShell host', () => {
  afterEach(() => host.close());

  it('hands values over as data and asks the same process again', async () => {
    open();
    const given = { name: `'"; $(calc) \n \u2028 {}`, list: [1], none: null };
    const first = await call('answer', given);
    assert.deepEqual(first.given, given);
    assert.equal((await call('answer')).pid, first.pid);
  });

  it('takes no answer but the one with the id of its request', async () => {
    open();
    assert.ok((await call('garbage')).pid > 0);
    assert.equal(await call('inPieces'), 'Zürich');
  });

  for (const [name, code, words] of [
    ['floodOfLines', 'ERR_FABRIC_FAILED', /no answer/],
    ['floodWithoutEnd', 'ERR_FABRIC_FAILED', /longer than/],
    ['halfLine', 'ERR_FABRIC_FAILED', /ended by itself \(0\)/],
    ['exitWithErrorText', 'ERR_FABRIC_FAILED', /ended by itself \(0\).*Access is denied/],
    ['die', 'ERR_FABRIC_FAILED', /ended by itself \(SIGKILL\)/],
  ] as const) {
    it(`gives an error of its own and goes on with another process: ${name}`, async () => {
      open();
      const { pid } = await call('answer');
      await assert.rejects(call(name), (error: { code: string; message: string }) => error.code === code && words.test(error.message));
      assert.notEqual((await call('answer')).pid, pid, 'the process that misbehaved is not asked again');
      await until('it is gone', () => !isAlive(pid), 30_000);
    });
  }

  it('takes an answer that was whole before the process went', async () => {
    open();
    assert.equal(await call('answerAndDie'), 'last');
    assert.ok((await call('answer')).pid > 0);
  });

  it('ends at the time limit what hangs, with all that it started', async () => {
    open();
    await call('answer');
    let message = '';
    await assert.rejects(call('hangWithChild', {}, 1_500), (error: { code: string; message: string }) => {
      message = error.message;
      return error.code === 'ERR_FABRIC_TIMEOUT';
    });
    const child = Number(/child (\d+)/.exec(message)?.[1]);
    assert.ok(child > 0, message);
    await until('its child is gone', () => !isAlive(child), 30_000);
    assert.ok((await call('answer')).pid > 0);
  });

  it('ends a call that its caller gives up, and begins none that was given up before', async () => {
    open();
    const given = new AbortController();
    const hanging = host.call({ function: 'hang', arguments: {}, limitMs: 60_000, signal: given.signal });
    setTimeout(() => given.abort(), 50);
    await assert.rejects(hanging, { code: 'ERR_FABRIC_TIMEOUT' });
    await assert.rejects(host.call({ function: 'answer', arguments: {}, limitMs: 60_000, signal: given.signal }), {
      code: 'ERR_FABRIC_TIMEOUT',
    });
  });

  it('does not let a hanging call hold another up, and lets one lane have no more than its own', async () => {
    open({ atOnce: 3 });
    const given = new AbortController();
    const lanes = [{ key: 'host-1', atOnce: 1 }];
    const hanging = host.call({ function: 'hang', arguments: {}, limitMs: 60_000, lanes, signal: given.signal });
    let isAnswered = false;
    const waiting = host.call({ function: 'answer', arguments: {}, limitMs: 60_000, lanes }).then(() => (isAnswered = true));
    for (let i = 0; i < 3; i++) await call('answer');
    assert.equal(isAnswered, false, 'its lane is taken');
    given.abort();
    await assert.rejects(hanging, { code: 'ERR_FABRIC_TIMEOUT' });
    await waiting;
  });

  it('maps what the module and the cmdlets say', async () => {
    open();
    const refuse = (id: string) => call('refuse', { id, category: 'InvalidOperation', message: 'on host-7', target: null });
    await assert.rejects(refuse('ERR_NO_RECOVERY_POINT'), { code: 'ERR_NO_RECOVERY_POINT', errorId: 'ObjectNotFound' });
    await assert.rejects(refuse('InvalidOperation,Microsoft.HyperV.PowerShell.Commands.StartVMFailover'), {
      code: 'ERR_WRONG_STATE',
      fullyQualifiedErrorId: 'InvalidOperation,Microsoft.HyperV.PowerShell.Commands.StartVMFailover',
    });
    await assert.rejects(refuse('NoSuchThing'), { code: 'ERR_FABRIC_FAILED', errorId: 'OperationFailed' });
    assert.ok((await call('answer')).pid > 0, 'an error that is told is an answer');
  });

  it('says why it cannot be started, and why it does not become ready', async () => {
    open({ program: { file: '/no/such/powershell', args: [], environment: {} } });
    await assert.rejects(call('answer'), { code: 'ERR_FABRIC_FAILED', message: /could not be started/ });
    host.close();
    open({ limits: { startMs: 300, answerBytes: 1024, noiseBytes: 1024 } }, 'setInterval(() => {}, 1000)');
    await assert.rejects(call('answer'), { code: 'ERR_FABRIC_TIMEOUT', message: /not ready/ });
  });
});
