/**
 * The emulated Hyper-V hosts of whole sites as a program, for the demo: `serve-sites.ts <folder> <site file>...`. Agents drive them through
 * the PowerShell that it names. It prints a line of JSON when the hosts are there, and one for each site whose name comes on standard
 * input: the power of its hosts is cut. The end of the input is its own end. The folder of a site takes faults from `farshore-agent fault`, and
 * `cmdlets.log` tells each cmdlet that changed something.
 */
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { agentPaths } from '../../../provider-agent/config.ts';
import { InMemoryReplicationNetwork } from '../../../provider-agent/fabric/simulated/in-memory-transport.ts';
import { readSiteFile } from '../../../provider-agent/fabric/simulated/site-definition.ts';
import { systemClock, systemRandom } from '../../../shared/system-ports.ts';
import { buildHost } from '../powershell/build.ts';
import { PowerShell } from '../powershell/powershell.ts';
import { EmulatedHyperV } from './emulated-hyperv.ts';
import { EmulatedHosts, type EmulatedSite } from './hosts.ts';
import { openEmulatedSite } from './pair.ts';
import { configOf, preparePowerShell } from './powershell-fabric.ts';

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function openSites(folder: string, files: readonly string[]): Promise<EmulatedSite[]> {
  const network = new InMemoryReplicationNetwork();
  return Promise.all(
    files.map((file) => {
      const definition = readSiteFile(readFileSync(file, 'utf8'), file);
      const { folder: own, site } = agentPaths(path.join(folder, definition.name.toLowerCase()));
      mkdirSync(own, { recursive: true });
      return openEmulatedSite(definition, systemClock, systemRandom, network, site);
    }),
  );
}

function cutPower({ site, definition }: EmulatedSite): void {
  for (const { name } of definition.hosts) site.faults.order({ kind: 'hostDies', host: name });
  site.faults.order({ kind: 'siteDark' });
}

/** Parameters by name alone: some are secrets. */
function withLog(hyperV: EmulatedHyperV, file: string): Pick<EmulatedHyperV, 'answer'> {
  return {
    answer: async (call) => {
      const answer = await hyperV.answer(call);
      for (const { cmdlet, parameters } of hyperV.changes) {
        const names = Object.keys(parameters).map((name) => ` -${name}`);
        appendFileSync(file, `${new Date().toISOString()} ${cmdlet}${names.join('')}\n`);
      }
      hyperV.calls.length = 0;
      return answer;
    },
  };
}

async function serve(folder: string, files: readonly string[]): Promise<void> {
  if (process.platform === 'win32') throw new Error('agents are given a shell script for PowerShell, which Windows cannot run');
  const built = await buildHost();
  if (typeof built === 'string') throw new Error(built);
  const powerShell = await preparePowerShell(new PowerShell(built));
  const sites = await openSites(folder, files);
  powerShell.use(withLog(new EmulatedHyperV(sites), path.join(folder, 'cmdlets.log')));
  say({
    sites: sites.map((site) => {
      const networks = site.definition.networks.map(({ name, subnets }) => ({ name, subnets }));
      const { senders: _peers, ...fabric } = configOf(site, [], networks);
      const { name } = site.definition;
      return {
        name,
        fabric: { ...fabric, powershell: powerShell.program, callsAtOnce: 3 },
        sender: `*.${EmulatedHosts.domain(site.definition)}`,
      };
    }),
  });
  const orders = createInterface({ input: process.stdin });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => orders.close());
  for await (const line of orders) {
    const site = sites.find(({ definition }) => definition.name === line);
    if (site === undefined) throw new Error(`there is no site '${line}'`);
    cutPower(site);
    say({ off: line });
  }
  await powerShell.close();
  await Promise.all(sites.map(({ site }) => site.close()));
}

try {
  const [folder, ...files] = process.argv.slice(2);
  if (folder === undefined || files.length === 0) throw new Error('usage: serve-sites.ts <folder> <site file>...');
  await serve(folder, files);
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
