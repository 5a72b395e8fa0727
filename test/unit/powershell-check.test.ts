/** The static check of the PowerShell that we ship, and that it can fail: every mistake of a list of kinds, made wherever it can be made, is found. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { readContract } from '../support/powershell/contract.ts';
import { findPowerShell, type PowerShell } from '../support/powershell/powershell.ts';
import { type Finding, StaticCheck } from '../support/powershell/static-check/check.ts';
import { type FileFacts, Inspector } from '../support/powershell/static-check/facts.ts';
import { readScripts, type ScriptFile } from '../support/powershell/static-check/module-files.ts';
import { type Edit, edited, type Mutation, mutations, rounds } from '../support/powershell/static-check/mutations.ts';

const found = await findPowerShell();
const skip = typeof found === 'string' ? found : false;
const contract = readContract();
const modules = [...new Set(contract.cmdlets.map(({ module }) => module))].filter((module) => module !== 'Microsoft.PowerShell.Core');
const inspector = skip === false ? await Inspector.start((found as PowerShell).built, modules) : (undefined as never);
const check = skip === false ? new StaticCheck(contract, inspector.verbs) : (undefined as never);
after(() => {
  if (skip === false) inspector.end();
});

const siteScripts = readScripts('site-scripts');
const hyperv = readScripts('provider-agent/fabric/hyperv');
const sample = readScripts('test/data/powershell');

const look = (files: readonly ScriptFile[]): Promise<FileFacts[]> => Promise.all(files.map(({ path, text }) => inspector.look(path, text)));
const told = ({ file, line, rule, message }: Finding): string => `${file}:${line} ${rule}: ${message}`;

describe('the PowerShell that we ship', { skip }, () => {
  test('calls nothing that is not in the contract, and nothing that Windows PowerShell 5.1 lacks', async (t) => {
    const groups = [...siteScripts.map((file) => [file]), hyperv, sample];
    const reports = await Promise.all(groups.map(async (group) => check.judge(await look(group))));
    const sum = (name: 'commands' | 'own' | 'unknown' | 'allowed'): number => reports.reduce((all, { figures }) => all + figures[name], 0);
    t.diagnostic(
      `commands checked ${sum('commands')}, calls of our own functions ${sum('own')}, unknown ${sum('unknown')}, allowed ${sum('allowed')}`,
    );
    assert.deepEqual(
      reports.flatMap(({ findings }) => findings.map(told)),
      [],
    );
    assert.ok(sum('commands') > 10);
    const idle = reports.map((report) => report.idle).reduce((left, right) => left.filter((line) => right.includes(line)));
    assert.deepEqual(idle, [], 'every line of the allow-list is needed');
  });
});

describe('a finding', { skip }, () => {
  const said = async (text: string): Promise<string[]> =>
    check.judge([await inspector.look('a.ps1', text)]).findings.map(({ line, rule, message }) => `${line} ${rule}: ${message}`);

  test('tells the line and what would be right', async () => {
    assert.deepEqual(await said("Hyper-V\\Start-VM -VM $a -Confirm:$false\nHyper-V\\Get-VMReplication -ReplicationMode 'Twin'"), [
      '2 value: Get-VMReplication -ReplicationMode takes None, Primary, Replica, TestReplica, ExtendedReplica, and is given Twin',
    ]);
    assert.deepEqual(await said('Hyper-V\\Set-VMReplication -VM $a -RecHist 3'), [
      '1 parameter: -RecHist is an alias of Set-VMReplication -RecoveryHistory; write the name',
    ]);
    assert.deepEqual(await said('Hyper-V\\Start-VMFailover -VM $a -AsTest -Prepare -Confirm:$false'), [
      '1 set: no parameter set of Start-VMFailover takes -VM -AsTest -Prepare; it has VMObject without -AsTest; VMObject_Test without -Prepare',
    ]);
    assert.deepEqual(await said('Hyper-V\\Set-VMReplication -Reverse -VMReplication 7'), [
      "1 value: Set-VMReplication -VMReplication takes an object of type VMReplication, and is given '7'",
    ]);
  });

  test('is made of a table that is filled on the way, and none of one that comes from elsewhere', async () => {
    const filled = "$set = @{ VM = $a }\nif ($b) { $set['Frequency'] = 300 }\n$set.RecoveryHistory = 30\nHyper-V\\Set-VMReplication @set";
    assert.deepEqual(
      (await said(filled)).map((text) => text.replace(/; it has.*/, '')),
      [
        '2 parameter: Set-VMReplication has no parameter -Frequency',
        '3 value: Set-VMReplication -RecoveryHistory takes Int32 from 0 to 24, and is given 30',
      ],
    );
    assert.deepEqual(await said('$set = Get-Variable\nHyper-V\\Start-VMFailover @set'), []);
  });
});

describe('a mistake', { skip }, () => {
  const files = [...hyperv, ...sample];
  const calm = skip === false ? look(files) : Promise.resolve([]);

  /** The edits that were not found. */
  async function missed(mutation: Mutation, index: number, edits: readonly Edit[]): Promise<string[]> {
    const facts = [...(await calm)];
    const { path, text } = files[index] as ScriptFile;
    const changed = edited(text, edits);
    facts[index] = await inspector.look(path, changed);
    const findings = check.judge(facts).findings.filter(({ file, rule }) => file === path && mutation.rules.includes(rule));
    const lines = new Set(findings.map(({ line }) => line));
    return edits
      .filter(({ line }) => (mutation.isAlone === true ? findings.length === 0 : !lines.has(line)))
      .map(({ line }) => `${path}:${line}: ${changed.split('\n')[line - 1]?.trim()}`);
  }

  test('of every kind is found wherever it is made', async (t) => {
    const facts = await calm;
    for (const mutation of mutations(contract, facts)) {
      const batches = facts.flatMap((file, index) =>
        rounds(mutation, mutation.edits(file, files[index]?.text ?? '')).map((edits) => [index, edits] as const),
      );
      const lost: string[] = [];
      for (const [index, edits] of batches) lost.push(...(await missed(mutation, index, edits)));
      assert.deepEqual(lost, [], `${mutation.kind} is not found`);
      const count = batches.flatMap(([, edits]) => edits).length;
      assert.ok(count > 0, `${mutation.kind} fits nowhere`);
      t.diagnostic(`${mutation.kind}: ${count} made, ${count} found`);
    }
  });
});
