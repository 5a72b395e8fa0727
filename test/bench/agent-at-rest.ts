/**
 * An agent at rest, as a process of its own: registered, connected to a real control plane, beside a simulated site of a thousand VMs
 * that replicate. Limits: 100 MB resident and 1 % of a core, over half a minute, a minute after it came to rest. Beside it, in the same run: a bare Node process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { RealPair } from '../support/real-pair.ts';
import { generated, siteText } from '../support/simulated-sites.ts';

const VMS = 1_000;
const SETTLE_SECONDS = 75;
const WATCH_SECONDS = 30;
const LIMIT = { residentMb: 100, corePercent: 1 };

if (process.platform !== 'linux') {
  console.log('SKIPPED: agent at rest reads /proc, which only Linux has');
  process.exit(0);
}

const extra = 'replication: { bandwidth: 100000 GB/s }';
const pair = await RealPair.make({
  reading: siteText('reading', { Gold: generated('Gold', VMS) }, extra),
  slough: siteText('slough', { Silver: '' }, extra),
});
try {
  await report('connected, nothing protected', 'reading');
  await pair.protectAll();
  await report('all protected, primary: sends every 30 s', 'reading');
  await report('all protected, recovery: receives', 'slough');
  await reportBare();
} finally {
  await pair.close();
}

async function report(title: string, part: 'reading' | 'slough'): Promise<void> {
  await seconds(SETTLE_SECONDS);
  const { residentMb, corePercent } = await watch(pair.pidOf(part));
  const ratios = `${(residentMb / LIMIT.residentMb).toFixed(2)} and ${(corePercent / LIMIT.corePercent).toFixed(2)} of the limits`;
  console.log(`${VMS} VMs, ${title}: ${residentMb.toFixed(0)} MB resident, ${corePercent.toFixed(2)} % of a core (${ratios})`);
}

/** What Node takes by itself, for comparison. */
async function reportBare(): Promise<void> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  await seconds(2);
  const { residentMb } = await memory(child.pid ?? 0);
  child.kill('SIGKILL');
  await once(child, 'exit');
  console.log(`bare Node process: ${residentMb.toFixed(0)} MB resident`);
}

async function watch(pid: number): Promise<{ residentMb: number; corePercent: number }> {
  const before = await cpuSeconds(pid);
  await seconds(WATCH_SECONDS);
  const corePercent = (100 * ((await cpuSeconds(pid)) - before)) / WATCH_SECONDS;
  return { ...(await memory(pid)), corePercent };
}

async function memory(pid: number): Promise<{ residentMb: number }> {
  const line = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'));
  return { residentMb: Number(line?.[1]) / 1024 };
}

/** User and system time, from fields 14 and 15 of proc(5) stat, in ticks of 10 ms. */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count * 1000));
}
