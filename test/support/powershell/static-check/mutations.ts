/** Mistakes that a person makes in a script, each as edits of its text; the static check has to find every one on its line. */
import type { Contract } from '../contract.ts';
import { type Callable, readCall } from './binding.ts';
import type { CommandElement, CommandFacts, FileFacts, Place } from './facts.ts';

export interface Edit extends Place {
  readonly text: string;
}

export interface Mutation {
  readonly kind: string;
  /** Any of these rules may find it. */
  readonly rules: readonly string[];
  /** A broken file tells nothing but that it is broken: one edit at a time. */
  readonly isAlone?: boolean;
  edits(file: FileFacts, text: string): Edit[];
}

type Site = { readonly command: CommandFacts; readonly callable: Callable; readonly isCmdlet: boolean };

export function mutations(contract: Contract, files: readonly FileFacts[]): Mutation[] {
  const cmdlets = new Map<string, Callable>(contract.cmdlets.map((cmdlet) => [cmdlet.name.toLowerCase(), cmdlet]));
  const own = new Set(files.flatMap(({ functions }) => functions.map(({ name }) => name.toLowerCase())));
  const sites = (file: FileFacts): Site[] =>
    file.commands.flatMap((command) => {
      const callable = cmdlets.get(command.name?.replace(/^.*\\/, '').toLowerCase() ?? '');
      return callable === undefined || own.has(callable.name.toLowerCase()) ? [] : [{ command, callable, isCmdlet: true }];
    });
  return [...ofNames(own), ...ofParameters(contract, sites), ...ofPrompts(sites), ...ofLanguage(), ...ofFunctions()];
}

function ofNames(own: ReadonlySet<string>): Mutation[] {
  const named = ({ commands }: FileFacts): CommandFacts[] => commands.filter(({ name }) => name !== null);
  return [
    { kind: 'command misspelt', rules: ['command'], edits: (file) => named(file).map(({ line, nameTo }) => insert(line, nameTo, 'x')) },
    {
      kind: 'command of a text',
      rules: ['text'],
      edits: (file) =>
        named(file)
          .filter(({ name }) => own.has(name?.toLowerCase() ?? ''))
          .map(({ line, from, nameTo }) => ({ line, from, to: nameTo, text: 'Invoke-Expression' })),
    },
    {
      kind: 'name in a variable',
      rules: ['text'],
      edits: (file) => named(file).map(({ line, from, nameTo }) => ({ line, from, to: nameTo, text: '& $name' })),
    },
    {
      kind: 'module left out',
      rules: ['qualifier'],
      edits: (file) =>
        named(file).flatMap(({ name, line, from }) =>
          name?.startsWith('Hyper-V\\') === true ? [{ line, from, to: from + 8, text: '' }] : [],
        ),
    },
  ];
}

function ofParameters(contract: Contract, sites: (file: FileFacts) => Site[]): Mutation[] {
  const perSite = (edit: (site: Site, text: string) => Edit[]) => (file: FileFacts, text: string) =>
    sites(file).flatMap((site) => edit(site, text));
  return [
    {
      kind: 'parameter misspelt',
      rules: ['parameter'],
      edits: (file) =>
        file.commands
          .filter(({ name }) => name !== null && !/invoke-expression/i.test(name))
          .flatMap(({ elements }) =>
            elements.flatMap((each) => (each.kind === 'parameter' ? [insert(each.line, each.from + 1 + each.name.length, 'x')] : [])),
          ),
    },
    {
      kind: 'parameter cut short',
      rules: ['parameter'],
      edits: perSite(({ command }) =>
        command.elements.flatMap((each) =>
          each.kind === 'parameter' && each.value === null && each.name.length > 2
            ? [removed({ line: each.line, from: each.to - 1, to: each.to })]
            : [],
        ),
      ),
    },
    {
      kind: 'key of a table misspelt',
      rules: ['parameter'],
      edits: perSite(({ command }, text) => command.elements.flatMap((each) => keyEdits(each, text))),
    },
    { kind: 'wrong set', rules: ['set'], edits: perSite((site) => added(site, otherSets(site))) },
    {
      kind: 'wrong value',
      rules: ['value'],
      edits: perSite((site) =>
        added(
          site,
          freeParameters(site, (type, parameter) => contract.types.get(type)?.kind === 'enum' || parameter.values !== undefined),
          ' NoSuchValue',
        ),
      ),
    },
    {
      kind: 'number out of range',
      rules: ['value'],
      edits: perSite((site) =>
        added(
          site,
          freeParameters(site, (type) => /^U?Int(16|32)$/.test(type)),
          ' 99999999999',
        ),
      ),
    },
    {
      kind: 'text for a truth',
      rules: ['value'],
      edits: perSite((site) =>
        added(
          site,
          freeParameters(site, (type) => type === 'Boolean'),
          " 'yes'",
        ),
      ),
    },
    { kind: 'mandatory left out', rules: ['mandatory', 'set'], edits: perSite(mandatoryLeftOut) },
    {
      kind: 'too many by position',
      rules: ['set'],
      edits: perSite(({ command }) => [insert(command.line, command.to, " 'a' 'b' 'c' 'd' 'e' 'f' 'g'")]),
    },
    {
      kind: 'parameter of PowerShell 7',
      rules: ['parameter'],
      edits: perSite(({ command, callable }) => {
        const newer = { 'ConvertTo-Json': ' -EnumsAsStrings', 'ConvertFrom-Json': ' -AsHashtable', 'Invoke-Command': ' -HostName a' }[
          callable.name
        ];
        return newer === undefined ? [] : [insert(command.line, command.to, newer)];
      }),
    },
  ];
}

function ofPrompts(sites: (file: FileFacts) => Site[]): Mutation[] {
  const given = (file: FileFacts, name: RegExp, of: (callable: Callable) => boolean): CommandElement[] =>
    sites(file)
      .filter(({ callable }) => of(callable))
      .flatMap(({ command }) => command.elements.filter((each) => each.kind === 'parameter' && name.test(each.name)));
  const silenced = (file: FileFacts): CommandElement[] =>
    given(file, /^confirm$/i, (callable) => 'confirmImpact' in callable && callable.confirmImpact === 'High');
  return [
    {
      kind: 'question not silenced',
      rules: ['confirm'],
      edits: (file) => silenced(file).map(removed),
    },
    {
      kind: 'question asked for',
      rules: ['confirm'],
      edits: (file, text) =>
        silenced(file)
          .map(({ line, to }) => ({ line, from: to - '$false'.length, to, text: '$true' }))
          .filter(({ from, to }) => text.slice(from, to) === '$false'),
    },
    {
      kind: 'second question not silenced',
      rules: ['force'],
      edits: (file) =>
        given(file, /^force$/i, ({ name }) => ['Stop-VM', 'Restart-VM', 'Remove-VM', 'Set-VMReplicationServer'].includes(name)).map(
          removed,
        ),
    },
  ];
}

function ofLanguage(): Mutation[] {
  const arguments_ = (file: FileFacts): Place[] =>
    file.commands.flatMap(({ elements }) =>
      elements.flatMap((each) => (each.kind === 'argument' && each.value.kind === 'other' ? [each] : [])),
    );
  const wrapped = (file: FileFacts, text: string, wrap: (value: string) => string): Edit[] =>
    arguments_(file).map(({ line, from, to }) => ({ line, from, to, text: wrap(text.slice(from, to)) }));
  const statements = ({ commands }: FileFacts, text: string): CommandFacts[] =>
    commands.filter(({ from, to }) => isWholeLine(text, from, to));
  return [
    { kind: 'ternary', rules: ['syntax'], edits: (file, text) => wrapped(file, text, (value) => `($true ? ${value} : $null)`) },
    { kind: 'null-coalescing', rules: ['syntax'], edits: (file, text) => wrapped(file, text, (value) => `(${value} ?? $null)`) },
    { kind: 'null-conditional', rules: ['syntax'], edits: (file, text) => wrapped(file, text, (value) => `(${value})?.Name`) },
    { kind: 'variable of PowerShell 7', rules: ['syntax'], edits: (file, text) => wrapped(file, text, () => '$IsWindows') },
    { kind: 'escape of PowerShell 7', rules: ['syntax'], edits: (file, text) => wrapped(file, text, () => '"`u{2192}"') },
    { kind: 'number of PowerShell 7', rules: ['syntax'], edits: (file, text) => wrapped(file, text, () => '7u') },
    {
      kind: 'pipeline chain',
      rules: ['syntax'],
      edits: (file, text) => statements(file, text).map(({ line, to }) => insert(line, to, ' && $null')),
    },
    { kind: 'background', rules: ['syntax'], edits: (file, text) => statements(file, text).map(({ line, to }) => insert(line, to, ' &')) },
    {
      kind: 'type of a later .NET',
      rules: ['type'],
      edits: ({ types }) => types.map(({ line, from, to }) => ({ line, from, to, text: 'System.Half' })),
    },
    { kind: 'type misspelt', rules: ['type'], edits: ({ types }) => types.map(({ line, from }) => insert(line, from, 'x')) },
    {
      kind: 'member that is not there',
      rules: ['type'],
      edits: ({ members }) =>
        members.filter(({ type, name }) => type !== null && name !== 'new').map(({ line, to }) => insert(line, to, 'x')),
    },
    {
      kind: 'brace too many',
      rules: ['parse'],
      isAlone: true,
      edits: (file, text) => statements(file, text).map(({ line, to }) => insert(line, to, ' }')),
    },
    {
      kind: 'quotation mark left out',
      rules: ['parse'],
      isAlone: true,
      edits: (file, text) => statements(file, text).map(({ line, to }) => insert(line, to, ' "')),
    },
  ];
}

function ofFunctions(): Mutation[] {
  return [
    {
      kind: 'verb that is not approved',
      rules: ['verb'],
      edits: ({ functions }, text) =>
        functions.flatMap(({ name, line, from }) => {
          const at = text.indexOf(name, from);
          return isExported(name) ? [{ line, from: at, to: at + name.indexOf('-'), text: 'Fetch' }] : [];
        }),
    },
    { kind: 'synopsis left out', rules: ['help'], edits: (file, text) => helpEdits(file, text, '.SYNOPSIS', '.NOTES') },
    { kind: 'parameter not described', rules: ['help'], edits: (file, text) => helpEdits(file, text, '.PARAMETER ', '.PARAMETER Other') },
  ];
}

/** What it is about is told where the function begins. */
function helpEdits({ functions }: FileFacts, text: string, mark: string, instead: string): Edit[] {
  return functions.flatMap(({ name, line, from, to }) => {
    const at = text.indexOf(mark, from);
    return isExported(name) && at >= 0 && at < to ? [{ line, from: at, to: at + mark.length, text: instead }] : [];
  });
}

function isExported(name: string): boolean {
  return /-(Farshore|Sample)/.test(name);
}

function keyEdits(element: CommandElement, text: string): Edit[] {
  if (element.kind !== 'splat') return [];
  return element.sources.flatMap((source) => {
    if (source.kind === 'unknown' || source.to === undefined) return [];
    const isQuoted = /['"]/.test(text[source.to - 1] ?? '');
    return [insert(source.line, source.to - (isQuoted ? 1 : 0), 'x')];
  });
}

/** Parameters that no set takes together with those that are given for sure. */
function otherSets({ command, callable }: Site): string[] {
  const call = readCall(callable, command);
  const sure = [...call.given].filter(([, { isSure }]) => isSure).map(([name]) => name);
  return [...callable.parameters.keys()].filter(
    (name) =>
      !call.given.has(name) &&
      ![...callable.sets.values()].some((members) => [name, ...sure].every((each) => members.some((member) => member.name === each))),
  );
}

/** Parameters of such a type that fit and are not given. */
function freeParameters({ command, callable }: Site, fits: (type: string, parameter: { values?: readonly string[] }) => boolean): string[] {
  const call = readCall(callable, command);
  const names = [...call.given.keys()];
  const together = [...callable.sets.values()].filter((members) => names.every((name) => members.some((member) => member.name === name)));
  return [...callable.parameters]
    .filter(([name, parameter]) => !call.given.has(name) && fits(parameter.type.replace('[]', ''), parameter))
    .map(([name]) => name)
    .filter((name) => together.some((members) => members.some((member) => member.name === name)));
}

function added({ command, callable }: Site, names: readonly string[], value?: string): Edit[] {
  const isSwitch = (name: string): boolean => callable.parameters.get(name)?.type === 'SwitchParameter';
  return names.map((name) => insert(command.line, command.to, ` -${name}${value ?? (isSwitch(name) ? '' : ' $null')}`));
}

function mandatoryLeftOut({ command, callable }: Site): Edit[] {
  const call = readCall(callable, command);
  if (call.isOpen || command.hasInput) return [];
  return command.elements.flatMap((each, index) => {
    if (each.kind !== 'parameter') return [];
    const isNeeded =
      [...callable.sets.values()].every((members) => members.some(({ isMandatory }) => isMandatory)) && call.given.size === 1;
    const holds = [...callable.sets.values()].some((members) =>
      members.some((member) => member.isMandatory && member.name.toLowerCase() === each.name.toLowerCase()),
    );
    if (!isNeeded || !holds) return [];
    const next = command.elements[index + 1];
    return [{ ...removed(each), to: next?.kind === 'argument' ? next.to : each.to }];
  });
}

function insert(line: number, at: number, text: string): Edit {
  return { line, from: at, to: at, text };
}

function removed({ line, from, to }: Place): Edit {
  return { line, from, to, text: '' };
}

function isWholeLine(text: string, from: number, to: number): boolean {
  const before = text.slice(text.lastIndexOf('\n', from) + 1, from);
  const after = text.slice(to, text.indexOf('\n', to));
  return before.trim() === '' && after.trim() === '';
}

/** All edits, in as few rounds as keep them apart: one a line, since a finding tells its line. */
export function rounds({ isAlone = false }: Mutation, edits: readonly Edit[]): Edit[][] {
  const made: Edit[][] = [];
  for (const edit of edits) {
    const round = made.find(
      (each) => !isAlone && each.every(({ line, from, to }) => line !== edit.line && (edit.from >= to || edit.to <= from)),
    );
    if (round === undefined) made.push([edit]);
    else round.push(edit);
  }
  return made;
}

export function edited(text: string, edits: readonly Edit[]): string {
  return edits
    .toSorted((a, b) => b.from - a.from)
    .reduce((made, { from, to, text: put }) => made.slice(0, from) + put + made.slice(to), text);
}
