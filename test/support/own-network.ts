/**
 * Tests of networks run in namespaces of their own, so that nothing of the machine is touched and nothing is left: the test file runs itself anew in
 * them. All that it starts ends with it.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const INSIDE = 'FARSHORE_TEST_NETWORK';
const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** Where `ip netns` keeps its names is a place of our own, and programs of the test reach each other. */
const ownPlace = ['sh', '-c', 'mkdir -p /run/netns && mount -t tmpfs farshore /run/netns && ip link set lo up && exec "$@"', 'sh'];

export const isInOwnNetwork = process.env[INSIDE] !== undefined;

/** Why suites of networks are skipped here, loudly; false where they run. Throws in CI. */
export async function whyNoOwnNetwork(): Promise<string | false> {
  if (isInOwnNetwork) return false;
  try {
    await run('unshare', [...namespaces, 'ip', 'tuntap', 'add', 'dev', 'farshore0', 'mode', 'tap']);
    return false;
  } catch (error) {
    if (process.env.CI !== undefined) throw error;
    return 'networks of QEMU are NOT tested here: that takes Linux, root, ip (iproute2), unshare (util-linux) and /dev/net/tun';
  }
}

export async function runInOwnNetwork(file: string): Promise<void> {
  await saidInOwnNetwork(file);
}

/** Runs the test file in namespaces of its own; what it said is answered, and is in the failure. */
export async function saidInOwnNetwork(file: string): Promise<string> {
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const command = [process.execPath, ...process.execArgv, '--test-reporter', 'spec', file];
  const options = { env: { ...environment, [INSIDE]: 'yes' }, maxBuffer: 64 * 1024 * 1024 };
  const said = await run('unshare', [...namespaces, ...ownPlace, ...command], options).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string; stderr?: string }) => assert.fail(`${error.stdout ?? ''}${error.stderr ?? ''}`),
  );
  assert.match(said, /pass [1-9]/, 'the tests ran there');
  assert.match(said, /skipped 0/, 'all of them');
  return said;
}

export function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });
}

/** Names of all devices. */
export function devices(): string[] {
  return (JSON.parse(ip('-json', 'link', 'show')) as { ifname: string }[]).map(({ ifname }) => ifname).toSorted();
}

/** A host of its own behind a cable to a bridge; gives the name of the cable's end at the bridge. */
export function attachHost(name: string, bridge: string, address: string): string {
  ip('netns', 'add', name);
  ip('link', 'add', 'name', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('link', 'set', 'dev', `to-${name}`, 'master', bridge, 'up');
  ip('-netns', name, 'address', 'add', address, 'dev', 'eth0');
  ip('-netns', name, 'link', 'set', 'dev', 'eth0', 'up');
  return `to-${name}`;
}

/** What a web server answers that host; null where it is not reached. */
export async function fetchFrom(host: string, url: string): Promise<string | null> {
  const script = `fetch(${JSON.stringify(url)}, { signal: AbortSignal.timeout(1500) }).then((answer) => answer.text()).then(console.log)`;
  return run('ip', ['netns', 'exec', host, process.execPath, '-e', script]).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
}
