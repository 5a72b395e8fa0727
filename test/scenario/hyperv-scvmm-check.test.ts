/** `farshore-agent check` of a site with SCVMM: the real module in the real engine, over an emulated SCVMM that lacks one thing after the other. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { formatFindings, runChecks } from '../../provider-agent/check/run-checks.ts';
import { factReader } from '../../provider-agent/fabric/hyperv/fact-reader.ts';
import { scvmmChecks } from '../../provider-agent/fabric/hyperv/scvmm-checks.ts';
import { systemClock } from '../../shared/system-ports.ts';
import { type EmulatedPair, openEmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { type EmulatedPowerShell, scvmmConfigOf, startEmulatedPowerShell } from '../support/emulated-hyperv/powershell-fabric.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();
const scvmm = { server: 'vmm.reading.example', port: 8100 };

describe('a check of a site with SCVMM', { skip: typeof found === 'string' ? found : false }, () => {
  let powerShell: EmulatedPowerShell;
  let pair: EmulatedPair;

  before(async () => {
    if (typeof found !== 'string') powerShell = await startEmulatedPowerShell(found);
  });
  after(() => powerShell.close());
  beforeEach(async () => {
    pair = await openEmulatedPair(powerShell, 'scvmm');
  });
  afterEach(() => pair.close());

  async function check(cloud = 'Gold') {
    const config = scvmmConfigOf(pair.sites.primary, []);
    const wanted = { ...config, clouds: config.clouds.map((each) => ({ ...each, name: cloud })) };
    const findings = await runChecks(await scvmmChecks(factReader(wanted, powerShell.host, 30_000), scvmm, systemClock));
    assert.deepEqual(pair.hyperV.changes, [], 'nothing was changed');
    const [own] = findings;
    assert.equal(own?.check, 'hyperv.scvmm', formatFindings(findings));
    return { own, hosts: findings.filter((each) => each.check === 'hyperv.rights').map(({ subject }) => subject) };
  }

  it('looks at the hosts that SCVMM tells', async () => {
    const { own, hosts } = await check();
    assert.deepEqual([own.state, own.found], ['ok', "the cloud 'Gold' has 2 hosts"]);
    assert.deepEqual(hosts, ['reading-1.reading.example', 'reading-2.reading.example']);
  });

  it('says what to look at where SCVMM is down, and looks at this computer all the same', async () => {
    const [server] = pair.hyperV.scvmms;
    assert.ok(server);
    server.isDown = true;
    const { own, hosts } = await check();
    assert.equal(own.state, 'missing');
    assert.match(own.found, /does not let the agent in/);
    assert.match(own.remedy ?? '', /its service runs/);
    assert.deepEqual(hosts, []);
  });

  it('says which clouds there are where agent.yaml names another', async () => {
    const { own } = await check('Golden');
    assert.equal(own.state, 'missing');
    assert.match(own.found, /no cloud 'Golden'.*it has 'Gold'/);
  });

  it('says that the console is missing', async () => {
    const read = factReader(scvmmConfigOf(pair.sites.primary, []), powerShell.host, 30_000);
    const without = { ...read, computer: async () => ({ powerShell: '5.1.0', account: 'a', modules: [] }) };
    const [own] = await runChecks(await scvmmChecks(without, scvmm, systemClock));
    assert.deepEqual([own?.state, own?.found], ['missing', 'this computer has no module VirtualMachineManager']);
    assert.match(own?.remedy ?? '', /Install the console/);
  });

  it('says that the broker of a cluster is not named', async () => {
    const read = factReader(scvmmConfigOf(pair.sites.primary, []), powerShell.host, 30_000);
    const clouds = async () => (await read.clouds()).map((cloud) => ({ ...cloud, cluster: 'RDG-CL1', replicaServer: '' }));
    const brokers = async () => [{ name: 'rdg-broker', state: 'Online' }];
    const findings = await runChecks(await scvmmChecks({ ...read, clouds, brokers }, scvmm, systemClock));
    const broker = findings.find((each) => each.check === 'hyperv.broker');
    assert.equal(broker?.state, 'missing', formatFindings(findings));
    assert.match(broker?.remedy ?? '', /replicaServer/);
  });
});
