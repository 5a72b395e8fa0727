#!/usr/bin/env node
/** The command line client `farshore`: gives the tree of commands the real world, and turns its end into the exit code. */
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { CommanderError } from 'commander';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { EXIT } from './exit-codes.ts';
import { buildProgram } from './program.ts';

const { stdin, stdout, stderr, env: environment, platform } = process;

// A reader that has gone, such as `head`, is no failure of ours.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

const program = buildProgram(
  {
    surroundings: { stdin, stdout, stderr, environment, platform, clock: systemClock, random: systemRandom, onInterrupt },
    setExitCode: (code) => {
      process.exitCode = code;
    },
  },
  version(),
);

try {
  await program.parseAsync();
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) throw thrown;
  process.exitCode = thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
}

function onInterrupt(callback: () => void): () => void {
  process.once('SIGINT', callback);
  return () => process.off('SIGINT', callback);
}

function version(): string {
  const path = findPackageJSON(import.meta.url);
  return path === undefined ? 'unknown' : (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
