/** Runs checks side by side and tells what they found, worst first for people, in order for programs. */
import type { CheckFinding, CheckState, SiteCheck } from '../fabric/site-check.ts';

/** A check that throws could not look. */
export async function runChecks(checks: readonly SiteCheck[]): Promise<CheckFinding[]> {
  const found = await Promise.all(
    checks.map(({ name, run }) =>
      run().catch((error: unknown): CheckFinding[] => [
        {
          check: name.split(' ')[0] ?? name,
          subject: name.split(' ').slice(1).join(' ') || 'this computer',
          state: 'unknown',
          found: error instanceof Error ? error.message : String(error),
          cause: 'It could not be looked at.',
          remedy: 'Mend what is said here and check again.',
        },
      ]),
    ),
  );
  return found.flat();
}

const order: readonly CheckState[] = ['missing', 'unknown', 'warning', 'ok'];

/** 0: nothing is missing; 1: somebody should look at something; 2: something is missing, or could not be looked at. */
export function exitCodeOf(findings: readonly CheckFinding[]): 0 | 1 | 2 {
  const states = new Set(findings.map(({ state }) => state));
  if (states.has('missing') || states.has('unknown')) return 2;
  return states.has('warning') ? 1 : 0;
}

export function formatFindings(findings: readonly CheckFinding[]): string {
  const sorted = findings.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const width = Math.max(0, ...sorted.map(({ check }) => check.length));
  const lines = sorted.flatMap(({ state, check, subject, found, cause, remedy }) => [
    `${(state === 'ok' ? state : state.toUpperCase()).padEnd(8)} ${check.padEnd(width)}  ${subject}: ${found}`,
    ...(cause === undefined ? [] : [`${' '.repeat(9)}why  ${cause}`]),
    ...(remedy === undefined ? [] : [`${' '.repeat(9)}do   ${remedy}`]),
  ]);
  const count = (state: CheckState) => findings.filter((each) => each.state === state).length;
  return [
    ...lines,
    '',
    `${count('missing')} missing, ${count('unknown')} unknown, ${count('warning')} warnings, ${count('ok')} in order`,
  ].join('\n');
}
