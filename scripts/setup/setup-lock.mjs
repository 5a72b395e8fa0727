/**
 * Two set-ups at once in one folder take turns. The lock is a file that its holder touches every two seconds; it is
 * stale when its process is gone (same host) or nobody has touched it for half a minute (a holder on another host).
 */

import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';

const touchEveryMs = 2_000;
const staleAfterMs = 30_000;
const lookEveryMs = 100;
const sayAfterMs = 1_000;

/** Runs `work` while no other set-up of this folder runs. */
export async function withSetupLock(root, work) {
  const file = path.join(root, '.setup.lock');
  const own = JSON.stringify({ pid: process.pid, host: hostname(), token: randomUUID() });
  await acquire(file, own);
  const touching = setInterval(() => touch(file), touchEveryMs);
  const release = () => {
    clearInterval(touching);
    if (read(file) === own) rmSync(file, { force: true });
  };
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

async function acquire(file, own) {
  const startedAt = Date.now();
  let hasSaid = false;
  for (;;) {
    try {
      writeFileSync(file, own, { flag: 'wx' });
      return;
    } catch (thrown) {
      // Windows says EPERM while a lock that was just removed is still open elsewhere.
      if (thrown.code !== 'EEXIST' && !(thrown.code === 'EPERM' && process.platform === 'win32')) throw thrown;
    }
    const held = read(file);
    if (held !== undefined && isStale(file, held)) remove(file, held);
    else {
      if (!hasSaid && Date.now() - startedAt > sayAfterMs) {
        process.stderr.write(`waiting for another set-up in this folder (${file})\n`);
        hasSaid = true;
      }
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }
}

function isStale(file, held) {
  const holder = parse(held);
  if (holder?.host === hostname() && !isAlive(holder.pid)) return true;
  const touchedAt = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  return touchedAt !== undefined && Date.now() - touchedAt > staleAfterMs;
}

/** Takes the stale lock away; if another waiter was quicker and this is already its new lock, puts it back. */
function remove(file, held) {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    if (read(aside) !== held) linkSync(aside, file);
  } catch (thrown) {
    if (thrown.code !== 'ENOENT' && thrown.code !== 'EEXIST' && thrown.code !== 'EPERM') throw thrown;
  } finally {
    rmSync(aside, { force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return thrown.code === 'EPERM';
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function touch(file) {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch {
    // Taken from us after a long sleep of the machine; the work at hand is finished all the same.
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // being written at this moment
  }
}
