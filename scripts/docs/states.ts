/** docs/states.md: the life of a protected VM, drawn from its table. */
import {
  allowedOperations,
  operationPhases,
  PHASES,
  type Phase,
  phases,
  transitions,
  VM_OPERATIONS,
} from '../../shared/domain/protected-vm.ts';

export function statesDocument(): string {
  const arrows = transitions.map(({ from, on, to }) => `  ${from} --> ${to ?? '[*]'}: ${on}`);
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const table = (head: readonly string[], rows: readonly (readonly string[])[]) => [
    row(head),
    row(head.map(() => '---')),
    ...rows.map(row),
  ];
  return [
    '# The life of a protected VM',
    '',
    'Made from `shared/domain/protected-vm.ts`; `npm run docs` writes it anew. A phase is a promise about the world; how far work has come is told by the job.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    '  [*] --> enabling: protect',
    ...arrows,
    '```',
    '',
    '## Phases',
    '',
    ...table(
      ['phase', 'promise'],
      PHASES.map((phase) => [`\`${phase}\``, phases[phase]]),
    ),
    '',
    '## Transitions',
    '',
    ...table(
      ['from', 'event', 'to', 'why'],
      transitions.map(({ from, on, to, why }) => [`\`${from}\``, `\`${on}\``, to ? `\`${to}\`` : 'no longer protected', why]),
    ),
    '',
    '## Operations by phase',
    '',
    `Each operation starts from: ${VM_OPERATIONS.map((operation) => `${operation} from ${operationPhases[operation].join(', ')}`).join('; ')}. A VM that a job works on allows none.`,
    '',
    'While the test copy of a drill is there, only plannedFailover, unplannedFailover and cleanUpTest are allowed; without one, cleanUpTest is not.',
    '',
    ...table(
      ['phase', ...VM_OPERATIONS],
      PHASES.map((phase) => [`\`${phase}\``, ...allowancesIn(phase).map(({ isAllowed }) => (isAllowed ? 'yes' : 'no'))]),
    ),
    '',
    'Why not, in the words that a refusal has, by phase; what the reasons of a phase have in common stands first:',
    '',
    ...PHASES.flatMap(whyNotIn),
    '',
  ].join('\n');
}

function allowancesIn(phase: Phase) {
  const now = { phase, activeLocation: 'primary', replicatesFrom: 'primary', busyWith: null } as const;
  // What cleans a drill up is only asked for where there is one.
  const beside = allowedOperations({ ...now, drill: 'D' });
  return allowedOperations({ ...now, drill: null }).map((one, index) => (one.operation === 'cleanUpTest' ? (beside[index] ?? one) : one));
}

/** One line; none where the phase refuses nothing. */
function whyNotIn(phase: Phase): string[] {
  const refused = allowancesIn(phase).filter(({ isAllowed }) => !isAllowed);
  if (refused.length === 0) return [];
  const common = commonClauses(refused.map(({ reason }) => reason));
  const own = refused.map(({ operation, reason }) => {
    const rest = reason.slice(common.length).replace(/^; /, '');
    return rest.startsWith(operation) ? rest : `${operation}: ${rest}`;
  });
  return [`- \`${phase}\`: ${common === '' ? '' : `*${common}*; `}${own.join('; ')}.`];
}

/** The clauses, parted by semicolons, with which all reasons begin; of each reason at least its last clause is left. */
function commonClauses(reasons: readonly string[]): string {
  const [first = [], ...others] = reasons.map((reason) => reason.split('; ').slice(0, -1));
  const differs = first.findIndex((clause, index) => others.some((clauses) => clauses[index] !== clause));
  return first.slice(0, differs === -1 ? first.length : differs).join('; ');
}
