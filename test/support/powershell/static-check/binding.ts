/** One call of a cmdlet against its parameter sets: what is given, by name, by position, by a splatted table or through the pipeline. */
import type { Cmdlet, Parameter, SetMember } from '../contract.ts';
import type { CommandFacts, Value } from './facts.ts';

/** What can be called: a cmdlet of the contract or a function of the module. */
export type Callable = Pick<Cmdlet, 'name' | 'parameters' | 'sets'>;

interface Given {
  /** As written. */
  readonly name: string;
  readonly line: number;
  readonly isSure: boolean;
  readonly value: Value | null;
}

export interface Call {
  /** By the name of the contract. */
  readonly given: ReadonlyMap<string, Given>;
  /** Common ones and -Confirm, in small letters. */
  readonly common: ReadonlyMap<string, Value | null>;
  readonly positional: readonly Value[];
  readonly isOpen: boolean;
  readonly problems: readonly { readonly line: number; readonly rule: string; readonly message: string }[];
}

const commonNames =
  'verbose debug erroraction warningaction informationaction errorvariable warningvariable informationvariable outvariable outbuffer pipelinevariable whatif confirm'.split(
    ' ',
  );

export function readCall(callable: Callable, command: CommandFacts): Call {
  const call = { given: new Map<string, Given>(), common: new Map<string, Value | null>(), positional: [] as Value[], isOpen: false };
  const problems: { line: number; rule: string; message: string }[] = [];
  const take = (name: string, line: number, isSure: boolean, value: Value | null): void => {
    if (commonNames.includes(name.toLowerCase())) call.common.set(name.toLowerCase(), value);
    else {
      const parameter = parameterNamed(callable, name);
      if (parameter === undefined) problems.push({ line, rule: 'parameter', message: unknownParameter(callable, name) });
      else if (isSure && call.given.get(parameter)?.isSure === true)
        problems.push({ line, rule: 'parameter', message: `-${name} is given twice` });
      else call.given.set(parameter, { name, line, isSure, value });
    }
  };
  const elements = [...command.elements];
  for (let element = elements.shift(); element !== undefined; element = elements.shift()) {
    if (element.kind === 'argument') call.positional.push(element.value);
    else if (element.kind === 'parameter')
      take(element.name, element.line, true, element.value ?? followingValue(callable, element.name, elements));
    else
      for (const source of element.sources) {
        if (source.kind === 'unknown') call.isOpen = true;
        else take(source.name, source.line, source.kind === 'sure', source.value ?? null);
      }
  }
  return { ...call, problems };
}

/** A switch leaves what follows to the positions. */
function followingValue(callable: Callable, name: string, rest: CommandFacts['elements'][number][]): Value | null {
  const parameter = parameterNamed(callable, name);
  const isSwitch =
    parameter === undefined
      ? /^(confirm|whatif|verbose|debug)$/i.test(name)
      : callable.parameters.get(parameter)?.type === 'SwitchParameter';
  const next = rest[0];
  if (isSwitch || next?.kind !== 'argument') return null;
  rest.shift();
  return next.value;
}

function parameterNamed(callable: Callable, name: string): string | undefined {
  return [...callable.parameters.keys()].find((key) => key.toLowerCase() === name.toLowerCase());
}

function unknownParameter({ name, parameters }: Callable, given: string): string {
  const small = given.toLowerCase();
  const alias = [...parameters].find(([, { aliases }]) => aliases.some((each) => each.toLowerCase() === small))?.[0];
  if (alias !== undefined) return `-${given} is an alias of ${name} -${alias}; write the name`;
  const starts = [...parameters.keys()].filter((key) => key.toLowerCase().startsWith(small));
  if (starts.length > 0) return `${name} -${given} is short for ${starts.map((key) => `-${key}`).join(', ')}; write the name`;
  return `${name} has no parameter -${given}; it has ${[...parameters.keys()].map((key) => `-${key}`).join(', ')}`;
}

/** Why no set takes this call, or nothing. */
export function misfit(callable: Callable, call: Call, hasInput: boolean): { rule: string; message: string } | undefined {
  const sets = [...callable.sets];
  const sure = [...call.given].filter(([, { isSure }]) => isSure).map(([name]) => name);
  const fitting = sets.filter(([, members]) => fits(members, sure, call.positional.length));
  if (fitting.length === 0) {
    const names = sure.map((name) => `-${name}`).join(' ');
    const places = call.positional.length === 0 ? '' : ` with ${call.positional.length} by position`;
    return { rule: 'set', message: `no parameter set of ${callable.name} takes ${names}${places}; it has ${setsIn(sets, sure)}` };
  }
  const odd = [...call.given.keys()].find((name) => !fitting.some(([, members]) => members.some((member) => member.name === name)));
  if (odd !== undefined)
    return { rule: 'set', message: `-${odd} is in no parameter set of ${callable.name} with ${sure.map((name) => `-${name}`).join(' ')}` };
  if (call.isOpen) return undefined;
  const missing = fitting.map(([, members]) => missingIn(members, call, hasInput));
  if (missing.some((names) => names.length === 0)) return undefined;
  const fewest = missing.sort((a, b) => a.length - b.length)[0] ?? [];
  return { rule: 'mandatory', message: `${callable.name} needs ${fewest.map((name) => `-${name}`).join(', ')}` };
}

function fits(members: readonly SetMember[], names: readonly string[], positional: number): boolean {
  return names.every((name) => members.some((member) => member.name === name)) && places(members, names).length >= positional;
}

function places(members: readonly SetMember[], named: readonly string[]): SetMember[] {
  return members
    .filter(({ name, position }) => position !== undefined && !named.includes(name))
    .sort((a, b) => (a.position ?? 0) - (b.position ?? 0));
}

function missingIn(members: readonly SetMember[], call: Call, hasInput: boolean): string[] {
  const given = [...call.given.keys()];
  const placed = places(members, given).slice(0, call.positional.length);
  return members
    .filter(({ isMandatory, byValue, byPropertyName }) => isMandatory && !(hasInput && (byValue || byPropertyName)))
    .filter((member) => !given.includes(member.name) && !placed.includes(member))
    .map(({ name }) => name);
}

/** The sets that hold most of what was given. */
function setsIn(sets: readonly (readonly [string, readonly SetMember[]])[], names: readonly string[]): string {
  const held = sets.map(([set, members]) => ({ set, lacks: names.filter((name) => !members.some((member) => member.name === name)) }));
  const least = Math.min(...held.map(({ lacks }) => lacks.length));
  return held
    .filter(({ lacks }) => lacks.length === least)
    .map(({ set, lacks }) => (lacks.length === 0 ? set : `${set} without ${lacks.map((name) => `-${name}`).join(' ')}`))
    .join('; ');
}

/** The values that stand at a parameter, in whatever way they are given. */
export function valuesOf(callable: Callable, call: Call): { name: string; parameter: Parameter; value: Value }[] {
  const sure = [...call.given.keys()];
  const fitting = [...callable.sets.values()].filter((members) => fits(members, sure, call.positional.length));
  const named = [...call.given].map(([name, { value }]) => ({ name, value }));
  const placed = call.positional.flatMap((value, index) => {
    const names = new Set(fitting.map((members) => places(members, sure)[index]?.name));
    return names.size === 1 ? [{ name: [...names][0] ?? '', value }] : [];
  });
  return [...named, ...placed].flatMap(({ name, value }) => {
    const parameter = callable.parameters.get(name);
    return parameter === undefined || value === null ? [] : [{ name, parameter, value }];
  });
}
