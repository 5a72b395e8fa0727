/** The fabrics that `--fabric` knows. */
import path from 'node:path';
import type { DemoFabric } from './demo-fabric.ts';
import { startEmulatedHyperV } from './emulated-hyperv.ts';
import { startQemu } from './qemu.ts';

const examples = {
  primary: { name: 'Reading', file: path.resolve('examples/reading.yaml') },
  recovery: { name: 'Slough', file: path.resolve('examples/slough.yaml') },
};

export const fabrics: Readonly<Record<string, DemoFabric>> = {
  simulated: {
    about: 'each agent simulates its site itself (what is taken without --fabric)',
    ...examples,
    start: async ({ folder }) => ({
      configOf: ({ file }) => ({ kind: 'simulated', site: file }),
      die: async () => 'its hosts and its VMs',
      faultsOf: ({ name }) => path.join(folder, name.toLowerCase()),
    }),
  },
  hyperv: {
    about: 'agents drive emulated Hyper-V hosts through PowerShell (needs the .NET SDK; not on Windows)',
    ...examples,
    start: startEmulatedHyperV,
  },
  qemu: {
    about: 'agents run real machines, tiny ones, under QEMU (needs Linux and QEMU)',
    isReal: true,
    primary: { name: 'Reading', file: path.resolve('.farshore/demo/qemu/reading/site.yaml') },
    recovery: { name: 'Slough', file: path.resolve('.farshore/demo/qemu/slough/site.yaml') },
    start: startQemu,
  },
};
