/** `farshore-agent check` of Hyper-V hosts: the real module in the real engine, over emulated hosts that lack one thing after the other. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { exitCodeOf, formatFindings, runChecks } from '../../provider-agent/check/run-checks.ts';
import { factReader } from '../../provider-agent/fabric/hyperv/fact-reader.ts';
import { hyperVChecks } from '../../provider-agent/fabric/hyperv/hyperv-checks.ts';
import { HyperVConfig as Config, cloudsOf, type HyperVConfig } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';
import type { CheckFinding } from '../../provider-agent/fabric/site-check.ts';
import { systemClock } from '../../shared/system-ports.ts';
import { type EmulatedCluster, roleOf } from '../support/emulated-hyperv/clusters.ts';
import { bothUsages, type EmulatedCertificate, type HostFacts } from '../support/emulated-hyperv/host-facts.ts';
import { EmulatedHosts } from '../support/emulated-hyperv/hosts.ts';
import { type EmulatedPair, openEmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { configOf, type EmulatedPowerShell, startEmulatedPowerShell } from '../support/emulated-hyperv/powershell-fabric.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();
const THUMBPRINT = 'A1B2C3D4E5F60718293A4B5C6D7E8F9001122334';
const BROKER = 'rdg-broker.reading.example';

describe('a check of Hyper-V hosts', { skip: typeof found === 'string' ? found : false }, () => {
  let powerShell: EmulatedPowerShell;
  let emulated: EmulatedPair;
  let hosts: readonly string[];
  let cluster: EmulatedCluster;

  before(async () => {
    if (typeof found !== 'string') powerShell = await startEmulatedPowerShell(found);
  });
  after(() => powerShell.close());
  beforeEach(async () => {
    emulated = await openEmulatedPair(powerShell);
    const { definition } = emulated.sites.primary;
    hosts = (definition.clouds[0]?.hosts ?? []).map((host) => EmulatedHosts.fullName(definition, host));
    inOrder();
  });
  afterEach(() => emulated.close());

  const facts = (): HostFacts => emulated.hyperV.hosts.facts;
  const good = (change: Partial<EmulatedCertificate> = {}): EmulatedCertificate => ({
    thumbprint: THUMBPRINT.toLowerCase(),
    hasKey: true,
    endsInDays: 300,
    usages: bothUsages,
    names: ['*.reading.example'],
    ...change,
  });

  /** Hosts that are paired, with all that they need. */
  function inOrder(): void {
    facts().certificates = [good({ thumbprint: 'FF', endsInDays: -3 }), good()];
    cluster = emulated.hyperV.hosts.clusters.add('RDG-CL1', 'Cluster Network 1', '255.255.255.0');
    cluster.groups.set('web-01', roleOf('VirtualMachine', 'Online'));
    cluster.groups.set('broker', roleOf('VMReplicaBroker', 'Online'));
    for (const host of hosts) {
      const server = emulated.hyperV.hosts.server(host);
      Object.assign(server, { isEnabled: true, authentication: 'Certificate', thumbprint: THUMBPRINT, port: 443 });
      server.entries.set('*.slough.example', { storage: 'D:\\Replicas', trustGroup: 'farshore-slough' });
    }
  }

  function config(change: object = {}): HyperVConfig {
    const plain = configOf(emulated.sites.primary, []);
    return Config.parse({ ...plain, clouds: plain.clouds.map((cloud) => ({ ...cloud, ...change })) });
  }

  async function check(given = config()): Promise<CheckFinding[]> {
    const findings = await runChecks(hyperVChecks(factReader(given, powerShell.host, 30_000), cloudsOf(given), systemClock));
    assert.deepEqual(
      emulated.hyperV.changes.map(({ cmdlet }) => cmdlet),
      [],
      'nothing was changed',
    );
    return findings;
  }

  /** The one thing that is said of the first host, or of what is no host. */
  async function lacks(name: string, state: CheckFinding['state'], given?: HyperVConfig): Promise<CheckFinding> {
    const findings = await check(given);
    const wrong = findings.filter((each) => each.state !== 'ok');
    const names = new Set(wrong.map((each) => each.check));
    assert.deepEqual([...names], [name], formatFindings(findings));
    const [first] = wrong;
    assert.ok(first);
    assert.equal(first.state, state);
    assert.ok((first.cause ?? '') !== '' && (first.remedy ?? '') !== '', 'cause and remedy are told');
    assert.equal(exitCodeOf(findings), state === 'warning' ? 1 : 2);
    return first;
  }

  const asCluster = () => config({ cluster: 'RDG-CL1', replicaServer: BROKER });

  it('finds nothing missing where all is there, looks at every host, and changes nothing', async () => {
    const findings = await check();
    assert.equal(exitCodeOf(findings), 0, formatFindings(findings));
    const seen = findings.filter((each) => each.check === 'hyperv.certificate').map(({ subject }) => subject);
    assert.deepEqual(seen, hosts);
    assert.ok(emulated.hyperV.calls.length > 0);
    assert.match(formatFindings(findings), /0 missing, 0 unknown, 0 warnings/);
  });

  it('finds nothing missing in a cluster with its broker', async () => {
    assert.equal(exitCodeOf(await check(asCluster())), 0);
  });

  it('finds nothing missing where hosts were paired by Kerberos, and tells when their own rule is disabled', async () => {
    for (const host of hosts) emulated.hyperV.hosts.server(host).authentication = 'Kerberos';
    Object.assign(facts(), { certificates: [], rules: ['False'], kerberosRules: ['True'] });
    const findings = await check();
    assert.equal(exitCodeOf(findings), 0, formatFindings(findings));
    facts().kerberosRules = ['False'];
    assert.match((await lacks('hyperv.firewall', 'missing')).remedy ?? '', /'Hyper-V Replica HTTP Listener \(TCP-In\)'/);
  });

  it('says that hosts which are not paired yet need nothing done', async () => {
    for (const host of hosts) Object.assign(emulated.hyperV.hosts.server(host), { isEnabled: false, authentication: 'Kerberos' });
    facts().rules = ['False'];
    facts().certificates = [];
    const findings = await check();
    assert.equal(exitCodeOf(findings), 1, formatFindings(findings));
    for (const { state, remedy } of findings) if (state === 'warning') assert.match(remedy ?? '', /pairing the cloud does it/);
  });

  const lackOf: readonly (readonly [string, string, CheckFinding['state'], RegExp, () => void, (() => HyperVConfig)?])[] = [
    ['rights in Hyper-V', 'hyperv.rights', 'missing', /Hyper-V Administrators/, () => facts().denied.add('Get-VM')],
    ['remoting', 'hyperv.remoting', 'missing', /Enable-PSRemoting/, () => facts().denied.add('Get-CimInstance')],
    ['rights to the firewall', 'hyperv.remoting', 'missing', /Administrators/, () => facts().denied.add('Get-NetFirewallRule')],
    [
      'a newer Windows',
      'hyperv.windows',
      'missing',
      /2016 or newer/,
      () => {
        facts().windowsVersion = '6.3.9600';
      },
    ],
    [
      'a clock that is right',
      'hyperv.clock',
      'warning',
      /w32tm/,
      () => {
        facts().clockAheadMs = 90_000;
      },
    ],
    [
      'a clock that Kerberos takes',
      'hyperv.clock',
      'missing',
      /w32tm/,
      () => {
        facts().clockAheadMs = -600_000;
      },
    ],
    [
      'an open firewall',
      'hyperv.firewall',
      'missing',
      /Enable-NetFirewallRule/,
      () => {
        facts().rules = ['False'];
      },
    ],
    [
      'the firewall rule',
      'hyperv.firewall',
      'missing',
      /New-NetFirewallRule/,
      () => {
        facts().rules = [];
      },
    ],
    [
      'the certificate',
      'hyperv.certificate',
      'missing',
      /Pair .* again/,
      () => {
        facts().certificates = [];
      },
    ],
    [
      'the key of the certificate',
      'hyperv.certificate',
      'missing',
      /Pair/,
      () => {
        facts().certificates = [good({ hasKey: false })];
      },
    ],
    [
      'client authentication',
      'hyperv.certificate',
      'missing',
      /Pair/,
      () => {
        facts().certificates = [good({ usages: bothUsages.slice(0, 1) })];
      },
    ],
    [
      'server authentication',
      'hyperv.certificate',
      'missing',
      /Pair/,
      () => {
        facts().certificates = [good({ usages: bothUsages.slice(1) })];
      },
    ],
    [
      'its name in the certificate',
      'hyperv.certificate',
      'missing',
      /Pair/,
      () => {
        facts().certificates = [good({ names: ['hv1.example.org'] })];
      },
    ],
    [
      'the name of the broker in the certificate',
      'hyperv.certificate',
      'missing',
      /Pair/,
      () => {
        facts().certificates = [good({ names: [...hosts] })];
      },
      asCluster,
    ],
    [
      'a certificate that is still good',
      'hyperv.certificate',
      'missing',
      /Pair/,
      () => {
        facts().certificates = [good({ endsInDays: -1 })];
      },
    ],
    [
      'a certificate for long',
      'hyperv.certificate',
      'warning',
      /Pair/,
      () => {
        facts().certificates = [good({ endsInDays: 10 })];
      },
    ],
    [
      'replicas by certificate',
      'hyperv.replicaServer',
      'warning',
      /AllowedAuthenticationType/,
      () => {
        for (const host of hosts) {
          const server = emulated.hyperV.hosts.server(host);
          server.authentication = 'Kerberos';
          server.entries.clear();
        }
        facts().kerberosRules = ['True'];
      },
    ],
    [
      'named senders',
      'hyperv.replicaServer',
      'warning',
      /ReplicationAllowedFromAnyServer/,
      () => {
        for (const host of hosts) emulated.hyperV.hosts.server(host).isOpenToAll = true;
      },
    ],
    ['a Replica Broker', 'hyperv.broker', 'missing', /Hyper-V Replica Broker/, () => void cluster.groups.delete('broker'), asCluster],
    [
      'a Replica Broker that pairing makes',
      'hyperv.broker',
      'warning',
      /pairing the cloud makes it/,
      () => void cluster.groups.delete('broker'),
      () => config({ cluster: 'RDG-CL1', replicaServer: BROKER, makeBroker: { network: 'Cluster Network 1' } }),
    ],
    [
      'a broker that runs',
      'hyperv.broker',
      'missing',
      /Start-ClusterGroup/,
      () => void cluster.groups.set('broker', roleOf('VMReplicaBroker', 'Failed')),
      asCluster,
    ],
    ['rights in the cluster', 'hyperv.broker', 'unknown', /check again/, () => facts().denied.add('Get-ClusterGroup'), asCluster],
  ];
  for (const [what, name, state, remedy, order, given] of lackOf)
    it(`tells the lack of ${what}, why it matters and how it is mended`, async () => {
      order();
      assert.match((await lacks(name, state, given?.())).remedy ?? '', remedy);
    });

  it('says which host does not answer, and looks at the others', async () => {
    const given = config({ hosts: [...hosts, 'hv9.reading.example'] });
    const findings = await check(given);
    const wrong = findings.filter((each) => each.check === 'hyperv.rights' && each.state === 'missing');
    assert.deepEqual(
      wrong.map(({ subject }) => subject),
      ['hv9.reading.example'],
    );
    assert.match(wrong[0]?.remedy ?? '', /vmms/);
    assert.equal(findings.filter((each) => each.check === 'hyperv.certificate' && each.state === 'ok').length, hosts.length);
  });
});
