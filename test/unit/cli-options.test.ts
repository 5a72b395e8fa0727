/** The command line is alike everywhere: what starts an operation on VMs says in the same words on which, why, and whether it is watched. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { buildProgram } from '../../control-plane/cli/program.ts';
import type { Surroundings } from '../../control-plane/cli/surroundings.ts';

const ON_VMS = [
  'failover',
  'take-back',
  'change-recovery-point',
  'commit',
  'reverse-replication',
  'import-first-copy',
  'suspend',
  'resume',
  'resynchronize',
  'drills start',
  'unprotect',
];
/** They start a job, and have a target of their own. */
const OTHERS = ['pairings create', 'pairings change', 'pairings move', 'protect', 'adopt', 'drills clean-up', 'jobs restart'];

const surroundings = { stdout: { columns: 100, write: () => true }, stderr: { write: () => true } } as unknown as Surroundings;
const program = buildProgram({ surroundings, setExitCode: () => {} }, '0');

function leavesOf(command: Command, path: readonly string[] = []): [string, Command][] {
  return command.commands.flatMap((child): [string, Command][] => {
    const name = [...path, child.name()];
    return child.commands.length > 0 ? leavesOf(child, name) : [[name.join(' '), child]];
  });
}
const leaves = new Map(leavesOf(program));
const flagsOf = (name: string) => leaves.get(name)?.options.map(({ flags }) => flags) ?? [];

test('help tells no default that says nothing, and those that say something', () => {
  const told = [...leaves.values()].map((leaf) => leaf.helpInformation()).join('\n');
  assert.doesNotMatch(told, /default: (false|\[\])/);
  assert.match(told, /default: "latest"/);
});

describe('commands that start an operation', () => {
  for (const name of ON_VMS) {
    test(`${name} takes a plan, some of its members, or VMs, a reason, and is watched or not`, () => {
      const flags = flagsOf(name);
      const alike = ['--plan <plan>', '--plan-version <n>', '--only <vm>', '--vm <vm>', '--reason <text>', '--no-follow', '--json'];
      assert.deepEqual(
        alike.filter((flag) => !flags.includes(flag)),
        [],
        flags.join(', '),
      );
    });
  }
  for (const name of OTHERS) {
    test(`${name} is watched or not`, () => assert.ok(flagsOf(name).includes('--no-follow'), flagsOf(name).join(', ')));
  }
});
