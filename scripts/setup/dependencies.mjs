/**
 * node_modules as the lock file wants it: `npm ci` runs when the stamp inside does not fit package-lock.json, this
 * platform and .npmrc. npm runs on the machine's own Node, never on the one inside the folder that it replaces.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from './refusal.mjs';

const isWindows = process.platform === 'win32';

/** Runs `npm ci` if it has to. */
export async function ensureDependencies(root) {
  const stampFile = path.join(root, 'node_modules', '.farshore-setup');
  const wanted = stampOf(root);
  if (readText(stampFile) === wanted) return;

  const startedAt = Date.now();
  process.stderr.write('setting up: installing dependencies (npm ci) ...');
  const { code, errors } = await npmCi(root);
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  process.stderr.write(code === 0 ? ` ${seconds} s\n` : ` failed after ${seconds} s\n`);
  if (errors) process.stderr.write(errors);
  if (code !== 0) {
    throw new Refusal(
      'npm could not install the dependencies; what it said is above. Check the way to its registry (`npm config get registry`, ' +
        'proxy), that the disk has room, and that no Farshore of this folder is running; then run the same command again.',
    );
  }
  writeFileSync(stampFile, wanted);
}

function stampOf(root) {
  const hash = createHash('sha256');
  for (const file of ['package-lock.json', '.npmrc']) hash.update(readText(path.join(root, file)) ?? '').update('\0');
  return `${hash.digest('hex')} ${process.platform} ${process.arch}\n`;
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    if (thrown.code === 'ENOENT') return undefined;
    throw thrown;
  }
}

function npmCi(root) {
  const modules = path.join(root, 'node_modules') + path.sep;
  const { command, args, shell } = npmCommand(modules);
  const env = { ...process.env, ...pathWithout(modules) };
  return new Promise((resolve, reject) => {
    // Level `error` leaves out the engine warnings: npm runs on the machine's Node, the packages on Node 24.
    const npm = spawn(command, [...args, 'ci', '--loglevel=error', '--no-progress'], {
      cwd: root,
      env,
      shell,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    npm.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    npm.on('error', (cause) =>
      reject(new Refusal(`npm could not be started (${cause.message}); it comes with Node: install Node 20 or later`)),
    );
    npm.on('close', (code) => resolve({ code: code ?? 1, errors }));
  });
}

/** The npm that runs us, else the one on the path. */
function npmCommand(modules) {
  const { npm_execpath: npmScript = '', npm_node_execpath: npmNode = '' } = process.env;
  const node = [npmNode, process.execPath].find((file) => file !== '' && !file.startsWith(modules));
  if (node !== undefined && path.basename(npmScript) === 'npm-cli.js') return { command: node, args: [npmScript], shell: false };
  // Windows cannot delete a program that runs: we would stand in npm's way.
  if (isWindows && process.execPath.startsWith(modules)) {
    throw new Refusal(
      "the dependencies are out of date, and this runs on the Node inside node_modules: use the machine's own node, or npm",
    );
  }
  return { command: isWindows ? 'npm.cmd' : 'npm', args: [], shell: isWindows };
}

/** npm scripts have node_modules/.bin first on the path, with a `node` in it that npm ci is about to delete. */
function pathWithout(modules) {
  const key = Object.keys(process.env).find((name) => name.toUpperCase() === 'PATH');
  if (key === undefined) return {};
  const folders = process.env[key].split(path.delimiter).filter((folder) => !(folder + path.sep).startsWith(modules));
  return { [key]: folders.join(path.delimiter) };
}
