/** The Node that the product runs on: the one that came with the dependencies, else the running one if it is new enough. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from './refusal.mjs';

const packages = { linux: `node-linux-${process.arch}`, win32: `node-win-${process.arch}` };
const wanted = 24;

/** Path of a Node of version 24 or later that starts on this machine. */
export function findNode24(root) {
  const bundled = path.join(
    root,
    'node_modules',
    packages[process.platform] ?? '',
    'bin',
    process.platform === 'win32' ? 'node.exe' : 'node',
  );
  if (existsSync(bundled)) {
    // It may be there and not start: npm cannot tell a Linux without glibc.
    const { stdout } = spawnSync(bundled, ['--version'], { encoding: 'utf8' });
    if (majorOf(stdout ?? '') >= wanted) return bundled;
  }
  if (majorOf(process.version) >= wanted) return process.execPath;
  throw new Refusal(
    `Farshore runs on Node ${wanted}. npm has none for ${process.platform} ${process.arch} that starts here, and this is Node ` +
      `${process.versions.node}. Install Node ${wanted} or later (https://nodejs.org) and run the same command again.`,
  );
}

function majorOf(version) {
  return Number(/^v(\d+)\./.exec(version)?.[1] ?? 0);
}
