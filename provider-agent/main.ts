#!/usr/bin/env node
/**
 * The provider agent's command line, and the only place that gives it the system's time and chance. Each command loads
 * what it needs when it runs. No secret is taken from an argument: other users of the machine can read those.
 */
import { existsSync, readFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Command, Help, InvalidArgumentError } from 'commander';
import { decodeText } from '../shared/decode-text.ts';
import { type ErrorCode, errorCodes, FarshoreError, toFarshoreError } from '../shared/errors.ts';
import { systemClock, systemRandom } from '../shared/system-ports.ts';
import { agentPaths } from './config.ts';
import { type EventName, eventLine } from './local/administrator-events.ts';
import type { RunningAgent, Surroundings } from './run-agent.ts';
import { addServiceCommand, DEFAULT_NAME } from './service-commands.ts';

const AFTER_START_MS = 3_000;
const LOOK_AT_MEMORY_MS = 60_000;
const AT_REST_BYTES = 80 * 1024 * 1024;

const EXIT_CODES = `
Exit codes:
  0  done
  1  a fault in the agent or at its disk
  2  a mistake in the command line, agent.yaml, the site file or the key
  3  not registered, or registered already
  4  the control plane was not reached or refused
  5  another agent runs on the data folder`;

const CHECK_HELP = `
Examples:
  farshore-agent check --data "C:\\ProgramData\\Farshore"
  farshore-agent check --data "C:\\ProgramData\\Farshore" --json

Rights are those of whoever runs it: the account of the service may have others (docs/windows.md).

Exit codes:
  0  nothing is missing
  1  something should be looked at
  2  something is missing, or could not be looked at`;

const exitCodes: Partial<Record<ErrorCode, number>> = {
  ERR_DOCUMENT_INVALID: 2,
  ERR_REQUEST_INVALID: 2,
  ERR_NOT_FOUND: 2,
  ERR_KEY_MALFORMED: 2,
  ERR_CERTIFICATE_UNKNOWN: 3,
  ERR_ALREADY_REGISTERED: 3,
  ERR_IDENTITY_DAMAGED: 3,
  ERR_KEY_FOREIGN: 4,
  ERR_KEY_UNKNOWN: 4,
  ERR_KEY_USED: 4,
  ERR_KEY_EXPIRED: 4,
  ERR_CONTROL_PLANE_UNREACHABLE: 4,
  ERR_PROXY_REFUSED: 4,
  ERR_CONFLICT: 5,
};

const ofService = {
  platform: process.platform,
  systemRoot: process.env.SystemRoot,
  clock: systemClock,
  node: process.execPath,
  script: resolve(process.argv[1] ?? ''),
  version: agentVersion(),
  print,
};

const program = new Command('farshore-agent')
  .description('The Farshore provider agent: runs at a site, acts there, and dials out to the control plane.')
  .version(agentVersion())
  .addHelpText('after', EXIT_CODES)
  .configureHelp({
    // Without `(default: false)`, which tells nobody anything.
    optionDescription: (option) => (option.defaultValue === false ? option.description : Help.prototype.optionDescription(option)),
  })
  .showHelpAfterError('(add --help for how it is used)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

const withData = (command: Command) => command.requiredOption('--data <dir>', 'the data folder of this agent');

withData(program.command('register'))
  .description('register this site with a key from the control plane')
  .requiredOption('--key-file <file>', "file with the registration key, or 'stdin'")
  .option('--proxy <url>', 'http://host:port; one with credentials belongs into agent.yaml or HTTPS_PROXY')
  .option('--replace', 'take the place of the identity that is there', false)
  .action(async (options: { data: string; keyFile: string; proxy?: string; replace: boolean }) => {
    const { registerSite } = await import('./register-site.ts');
    const key = options.keyFile === 'stdin' ? await readLine() : readKeyFile(options.keyFile);
    const identity = await registerSite(key, surroundings(options.data), options);
    print(`registered as agent ${identity.agentId} of site ${identity.siteId}; start it with: farshore-agent run --data ${options.data}`);
  });

withData(program.command('run'))
  .description('run the agent until it is told to stop (SIGINT, SIGTERM, SIGBREAK)')
  .option('--service', 'as the host of the Windows service runs it: the end of standard input is the order to stop', false)
  .action(async (options: { data: string; service: boolean }) => {
    // An agent is at rest most of its life, beside a busy SCVMM server: small rather than fast at collecting.
    setFlagsFromString('--optimize-for-size');
    setFlagsFromString('--semi-space-growth-factor=1');
    const { runAgent } = await import('./run-agent.ts');
    const agent = await runAgent({ ...surroundings(options.data), ...(options.service && { service: { tell: tellAdministrator } }) });
    stopOnSignals(agent, options.service);
    giveMemoryBack(agent, AFTER_START_MS);
  });

withData(program.command('status'))
  .description('say how the agent stands')
  .option('--json', 'as JSON', false)
  .action(async (options: { data: string; json: boolean }) => {
    const { describeAgent, formatDescription } = await import('./describe-agent.ts');
    const description = await describeAgent(agentPaths(options.data));
    print(options.json ? JSON.stringify(description, null, 2) : formatDescription(description));
    if (description.agentId === null) process.exitCode = 3;
  });

withData(program.command('check'))
  .description('look whether all is there that the agent needs, and say how to mend what is not; nothing is changed')
  .option('--service-name <name>', 'of its Windows service', DEFAULT_NAME)
  .option('--json', 'as JSON', false)
  .addHelpText('after', CHECK_HELP)
  .action(async (options: { data: string; serviceName: string; json: boolean }) => {
    const { checkSite } = await import('./check-site.ts');
    const { serviceLook } = await import('./manage-service.ts');
    const { exitCodeOf, formatFindings } = await import('./check/run-checks.ts');
    const findings = await checkSite(surroundings(options.data), serviceLook({ ...options, name: options.serviceName }, ofService));
    print(options.json ? JSON.stringify(findings, null, 2) : formatFindings(findings));
    process.exitCode = exitCodeOf(findings);
  });

withData(program.command('scripts'))
  .description('list the scripts that plans may run here, as a plan names them: name@sha256')
  .action(async (options: { data: string }) => {
    const { readConfig } = await import('./config.ts');
    const { scriptsOf } = await import('./run-agent.ts');
    const paths = agentPaths(options.data);
    const log = { info: () => {}, warn: (fields: object, text: string) => tellFault(fields, text), error: () => {} };
    const config = await readConfig(paths);
    if (config.scripts === undefined)
      process.stderr.write('no script runs here: agent.yaml names no folder of them (scripts: { folder: ... })\n');
    const scripts = await scriptsOf(config, { ...surroundings(options.data), log }).list();
    for (const { name, sha256 } of scripts) print(`${name}@${sha256}`);
  });

withData(program.command('egress'))
  .description('show every message that left this site, one JSON line each')
  .option('--day <yyyy-mm-dd>', 'only of this day (UTC)', calendarDay)
  .option('--last <n>', 'only the newest n', wholeNumber)
  .option('--total', 'count messages and bytes by type', false)
  .action(async (options: { data: string; day?: string; last?: number; total: boolean }) => {
    const { readEgress, totalEgress } = await import('./local/show-egress.ts');
    const { listLedger } = await import('./state/egress-ledger.ts');
    const folder = agentPaths(options.data).egress;
    const lines = readEgress({
      files: listLedger(folder).map((name) => join(folder, name)),
      day: options.day ?? null,
      last: options.last ?? null,
    });
    if (!options.total) for await (const line of lines) print(line);
    else for (const { type, messages, bytes } of await totalEgress(lines)) print(`${type.padEnd(20)} ${messages} messages, ${bytes} bytes`);
  });

const fault = program.command('fault').description('order faults at a simulated site');
withData(fault.command('order'))
  .description("order one, written as in a site file: '{ kind: fails, operation: startVm, times: 2 }'")
  .argument('<fault>', 'kind and fields of the fault; provider-agent/fabric/simulated/fault.ts lists them')
  .action(async (entry: string, options: { data: string }) => {
    const { readDocument } = await import('../shared/document.ts');
    const { FaultEntry } = await import('./fabric/simulated/fault.ts');
    const { orderFault } = await import('./fabric/simulated/fault-desk.ts');
    print(`fault ${orderFault(agentPaths(options.data).site, readDocument(entry, 'fault', FaultEntry))} is ordered`);
  });
withData(fault.command('lift'))
  .description('lift one: the host returns, the site is reachable again')
  .argument('<id>', 'number that `fault order` printed', wholeNumber)
  .action(async (id: number, options: { data: string }) => {
    const { liftFault } = await import('./fabric/simulated/fault-desk.ts');
    liftFault(agentPaths(options.data).site, id);
    print(`fault ${id} is lifted`);
  });

addServiceCommand(program, ofService);

try {
  await program.parseAsync();
} catch (thrown) {
  const error = toFarshoreError(thrown);
  const { formatProblems } = await import('../shared/document.ts');
  process.stderr.write(`farshore-agent: ${error.message}\n`);
  if (error.problems.length > 0) process.stderr.write(`${formatProblems(error)}\n`);
  const exitCode = exitCodes[error.code] ?? 1;
  if (process.argv.includes('--service')) tellNotStarted(error);
  if (error.code === 'ERR_INTERNAL') process.stderr.write(`${String((error.cause as Error | undefined)?.stack ?? error.stack)}\n`);
  // Of enrolment the table knows the remedy; the other messages carry their own.
  else process.stderr.write(exitCode === 3 || exitCode === 4 ? `${errorCodes[error.code].remedy} (${error.code})\n` : `(${error.code})\n`);
  process.exitCode = exitCode;
}

function stopOnSignals(agent: RunningAgent, isService: boolean): void {
  let isStopping = false;
  const stop = () => {
    // A second signal means now: what is under way is resumed by the next start.
    if (isStopping) process.exit(1);
    isStopping = true;
    agent.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`farshore-agent: ${toFarshoreError(error).message}\n`);
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGBREAK'] as const) process.on(signal, stop);
  // It ends with the host too, so no agent outlives its service.
  if (isService) process.stdin.resume().once('end', stop).once('error', stop);
}

/** Starting, a burst of commands and each renewal take memory that an agent at rest does not need, and V8 keeps it unless told. */
function giveMemoryBack(agent: RunningAgent, inMs: number): void {
  systemClock.after(inMs, () => {
    if (agent.runningCommands === 0 && process.memoryUsage.rss() > AT_REST_BYTES) {
      setFlagsFromString('--expose-gc');
      const collect = runInNewContext('gc') as (how: object) => void;
      collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    }
    giveMemoryBack(agent, LOOK_AT_MEMORY_MS);
  });
}

function surroundings(dataDir: string): Surroundings {
  return {
    paths: agentPaths(dataDir),
    version: agentVersion(),
    clock: systemClock,
    random: systemRandom,
    defer: setImmediate,
    environment: process.env,
  };
}

function agentVersion(): string {
  // Beside the sources, or beside the folder they were compiled into.
  const path = ['../package.json', '../../package.json'].map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url));
  return path === undefined ? 'unknown' : (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** By way of the service host, which reads what we write; at once, since it may be the last word. A host that is gone reads nothing. */
function tellAdministrator(name: EventName, text: string): void {
  try {
    writeSync(1, `${eventLine(name, text)}\n`);
  } catch {
    // The end of the input tells the same.
  }
}

function tellNotStarted(error: FarshoreError): void {
  const { cause, remedy } = errorCodes[error.code];
  const name = error.code === 'ERR_JOURNAL_DAMAGED' ? 'journalDamaged' : 'notStarted';
  const problems = error.problems.map(({ field, message }) => `${field ?? ''} ${message}`).join('; ');
  tellAdministrator(name, `The agent did not start: ${error.message} ${problems} ${cause} ${remedy} (${error.code})`);
}

/** The first line of standard input: a key may be pasted, and Enter ends it. */
async function readLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    process.stdin.destroy();
    return line;
  }
  return '';
}

/** Why a script, or the folder, is not in the list. */
function tellFault(fields: { script?: unknown; err?: unknown }, text: string): void {
  const { script = '', err } = fields;
  process.stderr.write(`${text}: ${String(script)} ${toFarshoreError(err).message}\n`);
  process.exitCode = 1;
}

function readKeyFile(path: string): string {
  try {
    return decodeText(readFileSync(path));
  } catch (cause) {
    throw new FarshoreError('ERR_NOT_FOUND', `the file with the registration key cannot be read: ${path}`, { cause });
  }
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number');
  return Number(text);
}

function calendarDay(text: string): string {
  const day = new Date(`${text}T00:00Z`);
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== text) throw new InvalidArgumentError('a day, such as 2026-11-23');
  return text;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
