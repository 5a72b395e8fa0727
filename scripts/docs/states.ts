/** docs/states.md: the life of a protected VM, drawn from its table. */
import { allowedOperations, operationPhases, PHASES, phases, transitions, VM_OPERATIONS } from '../../shared/domain/protected-vm.ts';

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
    ...table(
      ['phase', ...VM_OPERATIONS],
      PHASES.map((phase) => [
        `\`${phase}\``,
        ...allowedOperations({ phase, activeLocation: 'primary', busyWith: null }).map(({ isAllowed }) => (isAllowed ? 'yes' : 'no')),
      ]),
    ),
    '',
  ].join('\n');
}
