/** `farshore-agent check` as a program: what every agent needs, whatever its fabric. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CheckFinding } from '../../provider-agent/fabric/site-check.ts';
import { Host } from '../support/agent-host.ts';
import { AgentServer } from '../support/agent-server.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';

/** What it finds, as JSON, and its exit code. */
async function check(host: Host): Promise<{ code: number | null; findings: CheckFinding[]; of(name: string): CheckFinding }> {
  const { code, out, error } = await host.run('check', '--data', host.folder, '--json');
  const findings = JSON.parse(out || '[]') as CheckFinding[];
  assert.ok(findings.length > 0, error);
  return { code, findings, of: (name) => findings.find((each) => each.check === name) ?? assert.fail(`${name} was not checked`) };
}

const wrongIn = (findings: readonly CheckFinding[]) =>
  findings.filter(({ state }) => state !== 'ok').map(({ check: name, state }) => `${name} ${state}`);

/** Of every file in the data folder. */
async function contents(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const files: Record<string, string> = {};
  for (const name of names)
    if ((await stat(join(folder, name))).isFile()) files[name] = (await readFile(join(folder, name))).toString('base64');
  return files;
}

async function hostFor(t: TestContext): Promise<Host> {
  const host = await Host.make(t);
  await writeFile(
    join(host.folder, 'agent.yaml'),
    'fabric: { kind: simulated, site: site.yaml }\negress: { days: 1, megabytes: 16 }\nlog: { megabytes: 1, files: 1 }\n',
  );
  return host;
}

test('an agent that has all it needs is in order, beside one that runs and beside none, and nothing is changed', async (t) => {
  const host = await hostFor(t);
  await rm(join(host.folder, 'agent.lock'), { force: true });
  const before = await contents(host.folder);
  const first = await check(host);
  assert.deepEqual([first.code, wrongIn(first.findings)], [0, []]);
  assert.deepEqual(await contents(host.folder), before);
  assert.deepEqual(first.findings.map(({ check: name }) => name).sort(), [
    'agent.clock',
    'agent.connection',
    'agent.identity',
    'agent.journal',
    'agent.room',
    'simulated.site',
  ]);
  await host.start();
  await host.server.message('hello');
  const second = await check(host);
  assert.equal(second.code, 0);
  assert.match(second.of('agent.journal').found, /the agent runs/);
  assert.equal(host.server.received.filter(({ type }) => type === 'hello').length, 1, 'it did not speak as the agent');
  const { out } = await host.run('check', '--data', host.folder);
  assert.match(out, /ok +agent\.connection +127\.0\.0\.1:\d+: answers directly/);
  assert.match(out, /0 missing, 0 unknown, 0 warnings, 6 in order/);
});

test('a control plane that does not answer, or is another one, is told with what to do', async (t) => {
  const host = await hostFor(t);
  const { port } = host.server;
  await host.server.close();
  const down = await check(host);
  assert.deepEqual([down.code, wrongIn(down.findings)], [2, ['agent.connection missing']]);
  assert.match(down.of('agent.connection').remedy ?? '', /name resolution/);

  const other = await AgentServer.start();
  t.after(() => other.close());
  const identity = join(host.folder, 'identity.json');
  await writeFile(identity, (await readFile(identity, 'utf8')).replaceAll(String(port), String(other.port)));
  const foreign = await check(host);
  assert.deepEqual(wrongIn(foreign.findings), ['agent.connection missing']);
  assert.match(foreign.of('agent.connection').found, /certificate/);
});

test('the way through a proxy is the one that the agent would take, and a proxy that refuses is told', async (t) => {
  const host = await hostFor(t);
  const proxy = await startConnectProxy({ credentials: 'agent:word' });
  t.after(() => proxy.close());
  host.proxy = proxy.url;
  const through = await check(host);
  assert.equal(through.code, 0, JSON.stringify(through.findings));
  assert.match(through.of('agent.connection').found, /through the proxy 127\.0\.0\.1/);
  assert.deepEqual(proxy.opened, [`127.0.0.1:${host.server.port}`]);
  host.proxy = proxy.url.replace('word', 'CANARY');
  const refused = await check(host);
  assert.deepEqual([refused.code, wrongIn(refused.findings)], [2, ['agent.connection missing']]);
  assert.match(refused.of('agent.connection').found, /407/);
  assert.doesNotMatch(JSON.stringify(refused.findings), /CANARY/);
});

test('clocks that are apart are told: first as a warning, then as what is missing', async (t) => {
  const host = await hostFor(t);
  for (const [aheadMs, state, code] of [
    [60_000, 'warning', 1],
    [-600_000, 'missing', 2],
  ] as const) {
    host.server.clockAheadMs = aheadMs;
    const found = await check(host);
    assert.deepEqual([found.code, wrongIn(found.findings)], [code, [`agent.clock ${state}`]]);
    assert.match(found.of('agent.clock').remedy ?? '', /w32tm/);
  }
});

test('an agent that is not registered, a damaged journal, a site file that is gone and too little room are told together', async (t) => {
  const host = await hostFor(t);
  await rm(join(host.folder, 'identity.json'));
  await rm(join(host.folder, 'site.yaml'));
  await writeFile(join(host.folder, 'agent.db'), 'no database at all '.repeat(500));
  await writeFile(
    join(host.folder, 'agent.yaml'),
    'fabric: { kind: simulated, site: site.yaml }\negress: { days: 1, megabytes: 1000000 }\nlog: { megabytes: 10000, files: 1000 }\n',
  );
  const { code, findings, of } = await check(host);
  assert.equal(code, 2);
  assert.deepEqual(wrongIn(findings).sort(), [
    'agent.identity missing',
    'agent.journal missing',
    'agent.room warning',
    'simulated.site unknown',
  ]);
  assert.match(of('agent.identity').remedy ?? '', /register/);
  assert.match(of('agent.journal').remedy ?? '', /new data folder/);
  for (const finding of findings) if (finding.state !== 'ok') assert.ok(finding.cause && finding.remedy);
});

test('a data folder that is not there, and mistakes in agent.yaml, are told before anything is looked at', async (t) => {
  const host = await hostFor(t);
  const nowhere = await host.run('check', '--data', join(host.folder, 'nowhere'));
  assert.equal(nowhere.code, 2);
  assert.match(nowhere.error, /no data folder/);
  await writeFile(join(host.folder, 'agent.yaml'), 'fabric: { kind: simulated, site: site.yaml }\nport: 443\n');
  const mistaken = await host.run('check', '--data', host.folder);
  assert.equal(mistaken.code, 2);
  assert.match(mistaken.error, /agent\.yaml:2:\d+ {2}port/);
});
