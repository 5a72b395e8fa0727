/**
 * The door to every task: `node scripts/with-setup.mjs <task> [arguments]`, from any folder, on Node 20 or later.
 * Sets up what is missing (dependencies, Node 24, build) and then runs the task on Node 24, passing on arguments,
 * signals and the exit code. Plain JavaScript and no dependencies: it runs before there are any.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { build } from './setup/build.mjs';
import { ensureDependencies } from './setup/dependencies.mjs';
import { findNode24 } from './setup/node24.mjs';
import { Refusal } from './setup/refusal.mjs';
import { runProgram } from './setup/run-program.mjs';
import { withSetupLock } from './setup/setup-lock.mjs';

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..');
const biome = ['node_modules/@biomejs/biome/bin/biome'];
const oxlint = ['node_modules/oxlint/bin/oxlint'];

/**
 * `steps` run one after the other, all with the arguments, and it fails with the first that failed. `built` tasks find dist/ fresh.
 * `atHome` tasks run in the root of the project, the others where the caller stands: their arguments may name files.
 * @type {Record<string, { about: string, built?: boolean, atHome?: boolean, steps?: string[][], tasks?: string[] }>}
 */
const tasks = {
  test: { about: 'every suite that this machine can run; file names choose some', steps: [['scripts/test.mjs']] },
  'test:powershell': {
    about: 'the suites that run PowerShell, or check it (needs the .NET SDK)',
    steps: [['scripts/test.mjs', 'test/unit/powershell', 'test/scenario/site-scripts', 'hyperv']],
  },
  'test:qemu': { about: 'real machines with real disks (needs QEMU)', atHome: true, steps: [['scripts/test.mjs', 'test/qemu']] },
  demo: {
    about: 'two sites, a failover and its report on this machine (--once: then end)',
    built: true,
    atHome: true,
    steps: [['dist/demo/main.js']],
  },
  bench: { about: 'measures, as ratios (names choose some)', built: true, atHome: true, steps: [['scripts/bench.mjs']] },
  build: { about: 'compiles into dist/', built: true },
  check: { about: 'typecheck, lint, format:check and test', tasks: ['typecheck', 'lint', 'format:check', 'test'] },
  typecheck: { about: 'the compiler over every room', built: true },
  lint: {
    about: 'biome, then oxlint with types and our own rules',
    atHome: true,
    steps: [
      [...biome, 'check', '--formatter-enabled=false', '--error-on-warnings'],
      [...oxlint, '--type-aware', '--deny-warnings'],
    ],
  },
  format: { about: 'formats and sorts imports', atHome: true, steps: [[...biome, 'check', '--linter-enabled=false', '--write']] },
  'format:check': { about: 'tells what `format` would change', atHome: true, steps: [[...biome, 'format']] },
  docs: { about: 'writes the generated documents anew', built: true, atHome: true, steps: [['dist/scripts/docs/generate.js']] },
  farshore: { about: 'the command line client', built: true, steps: [['dist/control-plane/cli/main.js']] },
  'farshore-server': { about: 'the control plane', built: true, steps: [['dist/control-plane/main.js']] },
  'farshore-agent': { about: 'the provider agent', built: true, steps: [['dist/provider-agent/main.js']] },
};

async function runTask(name, args) {
  const task = tasks[name];
  for (const [index, part] of (task.tasks ?? []).entries()) {
    const code = await runTask(part, index === task.tasks.length - 1 ? args : []);
    if (code !== 0) return code;
  }
  if (task.tasks) return 0;

  const node = await withSetupLock(root, async () => {
    await ensureDependencies(root);
    const found = findNode24(root);
    if (task.built) await build(root, found);
    return found;
  });
  let failure = 0;
  for (const [script, ...fixed] of task.steps ?? []) {
    const file = path.join(root, script);
    if (!existsSync(file)) throw new Refusal(`${script} does not exist, which \`${name}\` runs`);
    const code = await runProgram(node, [file, ...fixed, ...args], task.atHome ? root : process.cwd());
    failure ||= code;
  }
  return failure;
}

function usage() {
  const rows = Object.entries(tasks).map(([name, task]) => `  ${name.padEnd(16)} ${task.about}`);
  return `usage: node scripts/with-setup.mjs <task> [arguments]\n\n${rows.join('\n')}`;
}

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !Object.hasOwn(tasks, name)) {
  console.error(name === undefined ? usage() : `there is no task "${name}"\n\n${usage()}`);
  process.exitCode = 2;
} else {
  try {
    if (Number.parseInt(process.versions.node, 10) < 20) {
      throw new Refusal(`this is Node ${process.versions.node}; install Node 20 or later (https://nodejs.org)`);
    }
    process.exitCode = await runTask(name, args);
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    console.error(thrown.message);
    process.exitCode = 1;
  }
}
