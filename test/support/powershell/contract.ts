/** What is known of the cmdlets that Windows has: parameter sets, types, accepted values, enums (test/data/hyperv). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Parameter {
  readonly type: string;
  readonly aliases: readonly string[];
  /** What its page lists; for an enum the names of its members. */
  readonly values?: readonly string[];
  /** What the module itself accepts, where that is less. */
  readonly set?: readonly string[];
  readonly range?: readonly [number, number];
}

export interface SetMember {
  readonly name: string;
  readonly isMandatory: boolean;
  readonly position?: number;
  readonly byValue: boolean;
  readonly byPropertyName: boolean;
}

export interface Cmdlet {
  readonly module: string;
  readonly name: string;
  readonly defaultSet?: string;
  /** Only of cmdlets that support ShouldProcess. */
  readonly confirmImpact?: 'Medium' | 'High';
  readonly outputs: readonly string[];
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly sets: ReadonlyMap<string, readonly SetMember[]>;
}

export interface DotNetType {
  readonly namespace: string;
  readonly kind: 'class' | 'enum';
  readonly base?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly values?: Readonly<Record<string, number>>;
}

export interface Contract {
  readonly cmdlets: readonly Cmdlet[];
  /** Alias -> name of its cmdlet. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly types: ReadonlyMap<string, DotNetType>;
}

interface ModuleFile {
  readonly module: string;
  readonly aliases?: Readonly<Record<string, string>>;
  readonly cmdlets: Readonly<Record<string, CmdletText>>;
}

interface CmdletText {
  readonly defaultSet?: string;
  readonly confirmImpact?: 'Medium' | 'High';
  readonly outputs?: readonly string[];
  readonly parameters: Readonly<Record<string, Omit<Parameter, 'aliases'> & { readonly aliases?: readonly string[] }>>;
  readonly sets: Readonly<Record<string, readonly string[]>>;
}

const folder = join(import.meta.dirname, '../../data/hyperv');

export function readContract(): Contract {
  const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const modules = readdirSync(folder)
    .filter((name) => name.endsWith('.json') && name !== 'types.json')
    .map((name) => read(name) as ModuleFile);
  const { types } = read('types.json') as { types: Record<string, DotNetType> };
  return {
    cmdlets: modules.flatMap(({ module, cmdlets }) => Object.entries(cmdlets).map(([name, text]) => cmdletOf(module, name, text))),
    aliases: new Map(modules.flatMap(({ aliases = {} }) => Object.entries(aliases))),
    types: new Map(Object.entries(types)),
  };
}

/** Modules of PowerShell itself: stubs of them serve the static check alone, at run time the engine has its own. */
export function isPartOfPowerShell(module: string): boolean {
  return module.startsWith('Microsoft.') || module === 'CimCmdlets';
}

function cmdletOf(module: string, name: string, text: CmdletText): Cmdlet {
  const parameters = Object.entries(text.parameters).map(
    ([key, { aliases = [], ...parameter }]) => [key, { ...parameter, aliases }] as const,
  );
  const sets = Object.entries(text.sets).map(([key, members]) => [key, members.map(memberOf)] as const);
  return { module, name, ...text, outputs: text.outputs ?? [], parameters: new Map(parameters), sets: new Map(sets) };
}

/** `VMName! @0 value property`: mandatory, at position 0, from the pipeline by value and by the name of a property. */
function memberOf(text: string): SetMember {
  const [head = '', ...rest] = text.split(' ');
  const position = rest.find((part) => part.startsWith('@'))?.slice(1);
  return {
    name: head.replace('!', ''),
    isMandatory: head.endsWith('!'),
    ...(position === undefined ? {} : { position: Number(position) }),
    byValue: rest.includes('value'),
    byPropertyName: rest.includes('property'),
  };
}
