import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { agentChecks } from '../../provider-agent/check/agent-checks.ts';
import { exitCodeOf, formatFindings, runChecks } from '../../provider-agent/check/run-checks.ts';
import { FabricError } from '../../provider-agent/fabric/fabric-error.ts';
import type { FactReader } from '../../provider-agent/fabric/hyperv/check-facts.ts';
import { hyperVChecks } from '../../provider-agent/fabric/hyperv/hyperv-checks.ts';
import type { CheckFinding } from '../../provider-agent/fabric/site-check.ts';
import type { ServiceDescription } from '../../provider-agent/service/describe.ts';
import type { CloudId } from '../../shared/ids.ts';
import { ManualClock } from '../support/manual-clock.ts';

const running: ServiceDescription = {
  name: 'FarshoreAgent',
  state: 'running',
  account: 'CORP\\farshore$',
  start: 'delayed',
  host: null,
  launch: null,
  previous: null,
};

async function serviceFinding(change: Partial<ServiceDescription>): Promise<CheckFinding> {
  const ports = {
    folder: tmpdir(),
    identity: null,
    proxy: null,
    checkJournal: async () => {},
    isRunning: true,
    bytesWanted: 0,
    clock: new ManualClock(0),
  };
  const findings = await runChecks(agentChecks({ ...ports, service: async () => ({ ...running, ...change }) }));
  return findings.find(({ check }) => check === 'agent.service') ?? assert.fail('the service was not looked at');
}

test('the service of an agent is in order, or it is said what is not', async () => {
  assert.deepEqual(await serviceFinding({}), {
    check: 'agent.service',
    subject: 'FarshoreAgent',
    state: 'ok',
    found: 'running, start delayed, as CORP\\farshore$',
  });
  for (const [change, remedy] of [
    [{ state: null }, /service install/],
    [{ state: 'stopped' }, /sc\.exe start/],
    [{ start: 'manual' }, /delayed-auto/],
    [{ account: 'LocalSystem' }, /group managed/],
  ] as const) {
    const { state, cause, remedy: said } = await serviceFinding(change);
    assert.deepEqual([state, typeof cause], ['warning', 'string']);
    assert.match(said ?? '', remedy);
  }
});

const cloud = {
  id: 'c' as CloudId,
  name: 'Gold',
  hosts: ['hv1.example.org'],
  cluster: 'CL1',
  replicaServer: 'broker.example.org',
  replicaStorage: 'D:',
  makeBroker: null,
};

function computer(facts: { powerShell?: string; modules?: string[] }): Promise<CheckFinding[]> {
  const refuse = () => Promise.reject(new FabricError('ERR_FABRIC_FAILED', 'OperationFailed', 'GetVM', 'not asked here'));
  const read: FactReader = {
    computer: async () => ({
      powerShell: '5.1.20348.1',
      account: 'CORP\\kim',
      modules: ['Hyper-V', 'FailoverClusters'],
      ...facts,
    }),
    hyperV: refuse,
    remote: refuse,
    brokers: refuse,
    clouds: refuse,
  };
  return runChecks(hyperVChecks(read, [cloud], new ManualClock(0)).slice(0, 1));
}

test('an old PowerShell and a module that is not there are told, with how they come', async () => {
  assert.equal(exitCodeOf(await computer({})), 0);
  assert.equal(exitCodeOf(await computer({ powerShell: '7.6.9' })), 0);
  const old = await computer({ powerShell: '5.0.1' });
  assert.deepEqual([old[0]?.state, exitCodeOf(old)], ['missing', 2]);
  for (const [name, feature] of [
    ['Hyper-V', 'Hyper-V-PowerShell'],
    ['FailoverClusters', 'RSAT-Clustering-PowerShell'],
  ] as const) {
    const findings = await computer({ modules: ['Hyper-V', 'FailoverClusters'].filter((each) => each !== name) });
    const wrong = findings.filter(({ state }) => state !== 'ok');
    assert.deepEqual(
      wrong.map(({ subject }) => subject),
      [name],
    );
    assert.match(wrong[0]?.remedy ?? '', new RegExp(`Install-WindowsFeature ${feature}$`));
  }
});

test('a check that cannot look is unknown, counts as missing, and keeps no other from its answer', async () => {
  const findings = await runChecks([
    { name: 'a.b of c', run: () => Promise.reject(new Error('no answer')) },
    { name: 'd', run: async () => [{ check: 'd', subject: 'e', state: 'warning', found: 'f', cause: 'g', remedy: 'h' }] },
    { name: 'i', run: async () => [{ check: 'i', subject: 'j', state: 'ok', found: 'k' }] },
  ]);
  assert.deepEqual(
    findings.map(({ state }) => state),
    ['unknown', 'warning', 'ok'],
  );
  assert.deepEqual([exitCodeOf(findings), exitCodeOf(findings.slice(1)), exitCodeOf(findings.slice(2))], [2, 1, 0]);
  assert.equal(
    formatFindings(findings.toReversed()),
    [
      'UNKNOWN  a.b  of c: no answer',
      '         why  It could not be looked at.',
      '         do   Mend what is said here and check again.',
      'WARNING  d    e: f',
      '         why  g',
      '         do   h',
      'ok       i    j: k',
      '',
      '0 missing, 1 unknown, 1 warnings, 1 in order',
    ].join('\n'),
  );
});
