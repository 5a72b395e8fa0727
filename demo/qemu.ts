/**
 * Real machines of both sites, run by QEMU under emulation on this machine: tiny ones, which write numbered records to their disks. Their site files and
 * disks are made by a program of the tests (ADR 0032). Machines outlive their agent, so the demo ends them, and knows them by the folders of their sites.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { DemoSite, Sites, Surroundings } from './demo-fabric.ts';

const PROGRAM = path.resolve('test/support/qemu-demo-sites.ts');
const REMEDY =
  'Real machines take Linux and QEMU: apt-get install --no-install-recommends qemu-system-x86 qemu-utils; or leave --fabric out.';

export async function startQemu({ sites, processes }: Surroundings): Promise<Sites> {
  const words: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const onEnd = (why: string) => (why.endsWith('exit code 0') ? resolve() : reject(new Error(`${words.join(' ')}\n${REMEDY}`)));
    processes.start(
      'the files of the sites',
      PROGRAM,
      sites.map(({ file }) => file),
      (line) => words.push(line),
      onEnd,
    );
  });
  return {
    configOf: ({ file }) => ({ kind: 'qemu', site: file }),
    die: async (site) => `its QEMU and ${await endMachines(site)} VMs`,
    faultsOf: () => null,
    async end() {
      for (const site of sites) await endMachines(site);
    },
  };
}

/** As a power cut ends them, and what was copying their disks; how many machines there were. */
async function endMachines({ file }: DemoSite): Promise<number> {
  const folder = path.join(path.dirname(file), 'm');
  let machines = 0;
  for (const pid of await readdir('/proc')) {
    const command = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
    if (!command.startsWith('qemu-') || !command.includes(`${folder}/`)) continue;
    process.kill(Number(pid), 'SIGKILL');
    if (command.startsWith('qemu-system-')) machines++;
  }
  return machines;
}
