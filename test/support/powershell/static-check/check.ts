/**
 * The static check of our PowerShell: every command against the contract of its cmdlet, every type and every piece of syntax against
 * Windows PowerShell 5.1, and no command that is made out of a text. Nothing is run.
 */
import { basename } from 'node:path';
import { type Cmdlet, type Contract, isPartOfPowerShell } from '../contract.ts';
import { type Allowed, allowed } from './allowed.ts';
import { type Call, type Callable, misfit, readCall, valuesOf } from './binding.ts';
import type { CommandFacts, FileFacts, FunctionFacts, Place } from './facts.ts';
import { wrongValue } from './values.ts';

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  readonly subject: string;
  readonly message: string;
}

export interface Report {
  readonly findings: readonly Finding[];
  readonly figures: { readonly commands: number; readonly own: number; readonly unknown: number; readonly allowed: number };
  /** Lines of the list that let nothing pass. */
  readonly idle: readonly Allowed[];
}

type Found = (rule: string, message: string, line?: number) => Finding;

/** Their second question is asked by ShouldContinue, which -Confirm:$false does not silence: say -Force or -Force:$false. */
const asksTwice = 'Stop-VM Restart-VM Remove-VM Remove-VMSwitch Set-VMReplicationServer Update-VMVersion Set-VHD Merge-VHD New-VM'.split(
  ' ',
);
const madeOfText = ['InvokeScript', 'NewScriptBlock', 'AddScript', 'ExpandString', 'InvokeReturnAsIs', 'InvokeWithContext'];

export class StaticCheck {
  readonly #contract: Contract;
  readonly #verbs: readonly string[];
  readonly #cmdlets: ReadonlyMap<string, Cmdlet>;

  constructor(contract: Contract, verbs: readonly string[]) {
    this.#contract = contract;
    this.#verbs = verbs.map((verb) => verb.toLowerCase());
    this.#cmdlets = new Map(contract.cmdlets.map((cmdlet) => [cmdlet.name.toLowerCase(), cmdlet]));
  }

  /** Files that call each other's functions are judged together. */
  judge(files: readonly FileFacts[]): Report {
    const functions = new Map(files.flatMap((file) => file.functions.map((each) => [each.name.toLowerCase(), callableOf(each)] as const)));
    const exported = exportedBy(files);
    const all = files.flatMap((file) => [
      ...this.#judgeText(file),
      ...file.commands.flatMap((command) => this.#judgeCommand(file, command, functions)),
      ...file.functions.filter(({ name }) => exported(name)).flatMap((each) => this.#judgeFunction(file, each)),
    ]);
    const lets = ({ rule, subject }: Finding, line: Allowed): boolean =>
      line.rule === rule && line.subject.toLowerCase() === subject.toLowerCase();
    const findings = all.filter((finding) => !allowed.some((line) => lets(finding, line)));
    const commands = files.flatMap((file) => file.commands).filter(({ name }) => name !== null);
    return {
      findings,
      figures: {
        commands: commands.filter(({ name }) => this.#cmdlets.has(plain(name))).length,
        own: commands.filter(({ name }) => functions.has(plain(name))).length,
        unknown: findings.filter(({ rule }) => rule === 'command').length,
        allowed: all.length - findings.length,
      },
      idle: allowed.filter((line) => !all.some((finding) => lets(finding, line))),
    };
  }

  #judgeText(file: FileFacts): Finding[] {
    const found = (place: Place, rule: string, subject: string, message: string): Finding => ({
      file: file.path,
      line: place.line,
      rule,
      subject,
      message,
    });
    return [
      ...file.errors.map((error) => found(error, 'parse', basename(file.path), error.message)),
      ...file.syntax.map((part) => found(part, 'syntax', part.text, `Windows PowerShell 5.1 does not know ${part.text}`)),
      ...file.types
        .filter(({ isOld }) => !isOld)
        .map((type) =>
          found(
            type,
            'type',
            type.name,
            type.isKnown ? `.NET Framework 4.8 or Windows PowerShell 5.1 has no ${type.name}` : `there is no type ${type.name}`,
          ),
        ),
      ...file.members
        .filter(({ isOld }) => !isOld)
        .map((member) =>
          found(member, 'type', `${member.type}::${member.name}`, `.NET Framework 4.8 has no ${member.type}::${member.name}`),
        ),
      ...file.members
        .filter(
          ({ name, type, isCall }) =>
            isCall && (madeOfText.includes(name ?? '') || (type?.endsWith('.ScriptBlock') === true && name === 'Create')),
        )
        .map((member) => found(member, 'text', member.name ?? '', `${member.name} makes a command out of a text`)),
    ];
  }

  #judgeCommand(file: FileFacts, command: CommandFacts, functions: ReadonlyMap<string, Callable>): Finding[] {
    const subject = plain(command.name);
    const found: Found = (rule, message, line = command.line) => ({
      file: file.path,
      line,
      rule,
      subject: subject === '' ? command.text : shown(command.name),
      message,
    });
    if (command.name === null)
      return command.isBlock || isOwnFile(command)
        ? []
        : [found('text', `${command.text} is called, and only a name that is written out can be checked`)];
    if (['invoke-expression', 'iex'].includes(subject)) return [found('text', `${command.name} makes a command out of a text`)];
    const own = functions.get(subject);
    const cmdlet = this.#cmdlets.get(subject);
    if (own !== undefined) return this.#judgeCall(own, command, readCall(own, command), found);
    if (cmdlet === undefined) return [found('command', `there is no cmdlet ${command.name} in the contract`)];
    const call = readCall(cmdlet, command);
    return [
      ...this.#judgeCall(cmdlet, command, call, found),
      ...judgeQualifier(cmdlet, command, found),
      ...judgePrompts(cmdlet, call, found),
      ...judgeBlocks(cmdlet, call, found),
    ];
  }

  #judgeCall(callable: Callable, command: CommandFacts, call: Call, found: Found): Finding[] {
    const odd = call.problems.length > 0 ? undefined : misfit(callable, call, command.hasInput);
    return [
      ...call.problems.map(({ rule, message, line }) => found(rule, message, line)),
      ...(odd === undefined ? judgeBinding(callable, call, command, found) : [found(odd.rule, odd.message)]),
      ...valuesOf(callable, call).flatMap(({ name, parameter, value }) => {
        const wrong = wrongValue(this.#contract, parameter, value);
        return wrong === undefined ? [] : [found('value', `${callable.name} -${name} ${wrong}`, value.line)];
      }),
    ];
  }

  #judgeFunction(file: FileFacts, { name, line, synopsis, parameters, described }: FunctionFacts): Finding[] {
    const found = (rule: string, message: string): Finding => ({ file: file.path, line, rule, subject: name, message });
    const hidden = parameters.filter((parameter) => !described.some((each) => each.toLowerCase() === parameter.name.toLowerCase()));
    const isApproved = this.#verbs.includes(name.split('-')[0]?.toLowerCase() ?? '');
    return [
      ...(isApproved ? [] : [found('verb', `${name} begins with no approved verb`)]),
      ...((synopsis ?? '').trim() === '' ? [found('help', `${name} has no .SYNOPSIS`)] : []),
      ...hidden.map((parameter) => found('help', `${name} has no .PARAMETER ${parameter.name}`)),
    ];
  }
}

/** What the binder of the engine finds beyond ours. Pages of cmdlets with providers list sets that no binder could tell apart. */
function judgeBinding(callable: Callable, call: Call, command: CommandFacts, found: Found): Finding[] {
  const isOurs = call.problems.length > 0 || !('module' in callable) || isPartOfPowerShell(String(callable.module));
  return isOurs ? [] : command.problems.map(({ message }) => found('set', message));
}

/** What is run elsewhere or compiled stands in the script itself. */
function judgeBlocks(cmdlet: Cmdlet, call: Call, found: Found): Finding[] {
  const values = [...call.given.values()].map(({ value }) => value).concat(call.positional);
  if (cmdlet.name === 'Invoke-Command' && !values.some((value) => value?.kind === 'block'))
    return [found('text', 'Invoke-Command without a block that is written out')];
  const isMade = cmdlet.name === 'Add-Type' && values.some((value) => value?.kind === 'other');
  return isMade ? [found('text', 'Add-Type compiles a text that is not written out')] : [];
}

/** VMM brings aliases of names of the module Hyper-V. */
function judgeQualifier(cmdlet: Cmdlet, command: CommandFacts, found: Found): Finding[] {
  const [module, name] = command.name?.includes('\\') === true ? command.name.split('\\') : [undefined, command.name];
  if (module === undefined)
    return cmdlet.module === 'Hyper-V' ? [found('qualifier', `write Hyper-V\\${name}: VMM has aliases of such names`)] : [];
  return module.toLowerCase() === cmdlet.module.toLowerCase()
    ? []
    : [found('command', `${name} is in module ${cmdlet.module}, not in ${module}`)];
}

function judgePrompts(cmdlet: Cmdlet, call: Call, found: Found): Finding[] {
  const confirm = call.common.get('confirm');
  const isSilent = confirm?.kind === 'constant' && confirm.value === false;
  return [
    ...(cmdlet.confirmImpact === 'High' && !isSilent && !call.isOpen
      ? [found('confirm', `${cmdlet.name} asks a person; say -Confirm:$false`)]
      : []),
    ...(asksTwice.includes(cmdlet.name) && !call.given.has('Force') && !call.isOpen
      ? [found('force', `${cmdlet.name} may ask a second time; say -Force or -Force:$false`)]
      : []),
  ];
}

function callableOf({ name, parameters }: FunctionFacts): Callable {
  return {
    name,
    parameters: new Map(
      parameters.map((parameter) => [
        parameter.name,
        { type: parameter.type, aliases: [], ...(parameter.values === null ? {} : { set: parameter.values }) },
      ]),
    ),
    sets: new Map([
      [
        '__AllParameterSets',
        parameters.map((parameter, position) => ({
          name: parameter.name,
          isMandatory: parameter.isMandatory,
          position,
          byValue: true,
          byPropertyName: true,
        })),
      ],
    ]),
  };
}

/** By `Export-ModuleMember -Function`; of scripts without it, none. */
function exportedBy(files: readonly FileFacts[]): (name: string) => boolean {
  const patterns = files
    .flatMap((file) => file.commands)
    .filter(({ name }) => plain(name) === 'export-modulemember')
    .flatMap(({ elements }) => elements.flatMap((element) => (element.kind === 'argument' ? textsOf(element.value) : [])))
    .map((pattern) => new RegExp(`^${pattern.replaceAll(/[.*+?^$()|[\]\\{}]/g, (sign) => (sign === '*' ? '.*' : `\\${sign}`))}$`, 'i'));
  return (name) => patterns.some((pattern) => pattern.test(name));
}

function textsOf(value: { kind: string; value?: unknown; items?: readonly { kind: string; value?: unknown }[] }): string[] {
  return [value, ...(value.items ?? [])].flatMap((each) => (typeof each.value === 'string' ? [each.value] : []));
}

/** `. $PSScriptRoot/Part.ps1` */
function isOwnFile({ text }: CommandFacts): boolean {
  return /^"?\$PSScriptRoot[/\\][\w./\\-]+"?$/.test(text);
}

function plain(name: string | null): string {
  return shown(name).toLowerCase();
}

function shown(name: string | null): string {
  return name?.slice(name.lastIndexOf('\\') + 1) ?? '';
}
