#!/usr/bin/env node
/**
 * The control plane's own command line, and the only place that gives it the system's time and chance. Everything else is
 * done through the API by `farshore`.
 */
import { Command } from 'commander';
import { formatProblems } from '../shared/document.ts';
import { errorCodes, toFarshoreError } from '../shared/errors.ts';
import { systemClock, systemRandom } from '../shared/system-ports.ts';
import { serverPaths } from './config.ts';
import { type RunningServer, runServer } from './run-server.ts';

const program = new Command('farshore-server')
  .description('The Farshore control plane: remembers, decides and shows.')
  .showHelpAfterError('(add --help for how it is used)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .addHelpText(
    'after',
    `
Examples:
  farshore-server run --data /var/lib/farshore
  farshore-server run --data C:\\ProgramData\\Farshore

server.yaml in the data folder says under which name it is reached and where it listens; without it, this machine only.

Exit codes:
  0  stopped when asked
  1  a fault, or the database cannot be used
  2  a mistake in the command line or in server.yaml
  5  a port is taken, or another control plane runs on the data folder`,
  );

program
  .command('run')
  .description('run until told to stop (SIGINT, SIGTERM, SIGBREAK)')
  .requiredOption('--data <dir>', 'the data folder: keys and database')
  .action(async ({ data }: { data: string }) => {
    const surroundings = { paths: serverPaths(data), clock: systemClock, random: systemRandom, defer: setImmediate };
    const server = await runServer(surroundings);
    stopOnSignals(server);
    console.log(`Farshore control plane is ready at ${server.address}`);
    if (server.setUpLink !== null) {
      console.log(
        `\nNobody has set it up yet. This link makes the owner's account; it works once, for 24 hours:\n\n  ${server.setUpLink}\n`,
      );
    }
  });

function stopOnSignals(server: RunningServer): void {
  let isStopping = false;
  const stop = () => {
    // A second signal means now: what is under way is resumed by the next start.
    if (isStopping) process.exit(1);
    isStopping = true;
    server.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGBREAK'] as const) process.on(signal, stop);
}

try {
  await program.parseAsync();
} catch (thrown) {
  const error = toFarshoreError(thrown);
  process.stderr.write(`farshore-server: ${error.message} (${error.code})\n`);
  if (error.problems.length > 0) process.stderr.write(`${formatProblems(error)}\n`);
  if (error.code === 'ERR_INTERNAL') process.stderr.write(`${String((error.cause as Error | undefined)?.stack ?? error.stack)}\n`);
  else if (error.problems.length === 0) process.stderr.write(`${errorCodes[error.code].remedy}\n`);
  process.exitCode = { ERR_DOCUMENT_INVALID: 2, ERR_CONFLICT: 5 }[error.code as string] ?? 1;
}
