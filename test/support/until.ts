/** Waits for a condition with a limit: what a test does instead of sleeping. */
import { setTimeout as tick } from 'node:timers/promises';

export async function until(what: string, condition: () => boolean | Promise<boolean>, limitMs = 5_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await tick(5);
  }
}
