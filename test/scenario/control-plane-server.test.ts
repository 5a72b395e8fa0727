/** The control plane put together on a real data folder: how it starts and how it ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { serverPaths } from '../../control-plane/config.ts';
import { type RunningServer, runServer } from '../../control-plane/run-server.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

async function makeFolder(t: TestContext): Promise<{ folder: string; apiPort: number; agentPort: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'farshore-server-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const ports = { apiPort: await freePort(), agentPort: await freePort() };
  await writeFile(
    join(folder, 'server.yaml'),
    `apiPort: ${ports.apiPort}\nagentPort: ${ports.agentPort}\nlog: { level: warn, file: server.log }\n`,
  );
  return { folder, ...ports };
}

function start(folder: string): Promise<RunningServer> {
  return runServer({ paths: serverPaths(folder), clock: systemClock, random: systemRandom, defer: setImmediate });
}

test('whoever connects and says nothing does not keep the control plane from stopping', { timeout: 20_000 }, async (t) => {
  const { folder, apiPort, agentPort } = await makeFolder(t);
  const server = await start(folder);
  const silent = [apiPort, agentPort].map((port) => connect(port, '127.0.0.1').on('error', () => {}));
  await Promise.all(silent.map((socket) => once(socket, 'connect')));
  const ended = Promise.all(silent.map((socket) => once(socket, 'close')));
  const began = performance.now();
  await server.stop();
  assert.ok(performance.now() - began < 8_000, 'it stopped in time');
  await ended;
});
