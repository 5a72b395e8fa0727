/**
 * Runs a program in our place: same terminal, its exit code is ours, and a signal reaches it once, so that its own
 * clean-up runs and we outlive it.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const isWindows = process.platform === 'win32';
/** npm passes on what the terminal has sent us already. */
const sameSignalWithinMs = 1_000;

/** Resolves to the exit code, 128 + the number of the signal if one ended the program. */
export function runProgram(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: 'inherit' });
    const lastAt = {};
    const onSignal = (signal) => {
      const isRepeat = Date.now() - (lastAt[signal] ?? 0) < sameSignalWithinMs;
      lastAt[signal] = Date.now();
      if (!isRepeat && !comesFromTerminal(signal)) child.kill(signal);
    };
    const signals = isWindows ? ['SIGINT', 'SIGBREAK'] : ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
    for (const signal of signals) process.on(signal, onSignal);
    const stopListening = () => {
      for (const signal of signals) process.off(signal, onSignal);
    };
    child.on('error', (cause) => {
      stopListening();
      reject(cause);
    });
    child.on('close', (code, signal) => {
      stopListening();
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}

/** A terminal sends its keys' signals to the whole foreground group, the child among them. On Windows `kill` would end it without clean-up. */
function comesFromTerminal(signal) {
  if (isWindows) return true;
  return (signal === 'SIGINT' || signal === 'SIGQUIT') && [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
}
