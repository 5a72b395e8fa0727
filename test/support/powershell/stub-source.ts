/** The C# of stub cmdlets and of the types they take, written from the contract. */
import type { Cmdlet, Contract } from './contract.ts';
import { TypeNames } from './type-names.ts';

/** Real names where they are known from an error record; they follow no rule. */
const classNames: Readonly<Record<string, string>> = {
  'Set-VMReplicationServer': 'SetReplicationServerCommand',
  'Resume-VMReplication': 'ResumeVMReplication',
};

/** Files by name, and the modules with what each offers. */
export interface StubSource {
  readonly files: ReadonlyMap<string, string>;
  readonly modules: ReadonlyMap<string, ModuleOffer>;
}

interface ModuleOffer {
  readonly cmdlets: readonly string[];
  readonly aliases: readonly string[];
}

/** Core's own cmdlets are in the engine. */
const inEngine = 'Microsoft.PowerShell.Core';

export function stubSource(contract: Contract): StubSource {
  const cmdlets = contract.cmdlets.filter(({ module }) => module !== inEngine);
  const names = new TypeNames(contract, cmdlets);
  const byModule = [...Map.groupBy(cmdlets, ({ module }) => module)];
  const classes = byModule.map(([module, list]) => [`${module}.cs`, list.map((cmdlet) => cmdletSource(cmdlet, names)).join('\n')] as const);
  return {
    files: new Map([...classes, ['types.cs', names.source()]]),
    modules: new Map(byModule.map(([module, list]) => [module, offerOf(contract, list)])),
  };
}

function offerOf(contract: Contract, list: readonly Cmdlet[]): ModuleOffer {
  const cmdlets = list.map(({ name }) => name);
  return { cmdlets, aliases: [...contract.aliases].filter(([, name]) => cmdlets.includes(name)).map(([alias]) => alias) };
}

function cmdletSource(cmdlet: Cmdlet, names: TypeNames): string {
  const [verb, noun] = cmdlet.name.split('-');
  const space =
    cmdlet.module === 'Hyper-V' ? 'Microsoft.HyperV.PowerShell.Commands' : `Farshore.Stubs.${cmdlet.module.replaceAll(/\W/g, '')}`;
  const options = [
    ...(cmdlet.defaultSet === undefined ? [] : [`DefaultParameterSetName = ${quoted(cmdlet.defaultSet)}`]),
    ...(cmdlet.confirmImpact === undefined
      ? []
      : ['SupportsShouldProcess = true', `ConfirmImpact = System.Management.Automation.ConfirmImpact.${cmdlet.confirmImpact}`]),
  ];
  const aliases = [...names.contract.aliases].filter(([, name]) => name === cmdlet.name).map(([alias]) => quoted(alias));
  return [
    `namespace ${space} {`,
    `[System.Management.Automation.Cmdlet(${[quoted(verb ?? ''), quoted(noun ?? ''), ...options].join(', ')})]`,
    ...(aliases.length === 0 ? [] : [`[System.Management.Automation.Alias(${aliases.join(', ')})]`]),
    `public sealed class ${classNames[cmdlet.name] ?? `${verb}${noun}Command`} : Farshore.Stubs.StubCmdlet {`,
    ...[...cmdlet.parameters.keys()].map((name) => parameterSource(cmdlet, name, names)),
    '} }',
  ].join('\n');
}

function parameterSource(cmdlet: Cmdlet, name: string, names: TypeNames): string {
  const parameter = cmdlet.parameters.get(name);
  if (parameter === undefined) throw new Error(`${cmdlet.name} has no ${name}`);
  const type = names.csharp(parameter.type, cmdlet.module);
  const values = parameter.set ?? (/^String(\[\])?$/.test(parameter.type) ? parameter.values : undefined);
  const attributes = [
    ...[...cmdlet.sets].flatMap(([set, members]) =>
      members.filter((member) => member.name === name).map((member) => parameterAttribute(set, member)),
    ),
    ...(parameter.aliases.length === 0 ? [] : [`Alias(${parameter.aliases.map(quoted).join(', ')})`]),
    ...(values === undefined ? [] : [`ValidateSet(${values.map(quoted).join(', ')})`]),
    ...(parameter.range === undefined ? [] : [`ValidateRange(${parameter.range.join(', ')})`]),
  ];
  return `${attributes.map((text) => `[System.Management.Automation.${text}] `).join('')}public ${type} ${name} { get; set; }`;
}

function parameterAttribute(
  set: string,
  member: { isMandatory: boolean; position?: number; byValue: boolean; byPropertyName: boolean },
): string {
  const options = [
    ...(set === '__AllParameterSets' ? [] : [`ParameterSetName = ${quoted(set)}`]),
    ...(member.isMandatory ? ['Mandatory = true'] : []),
    ...(member.position === undefined ? [] : [`Position = ${member.position}`]),
    ...(member.byValue ? ['ValueFromPipeline = true'] : []),
    ...(member.byPropertyName ? ['ValueFromPipelineByPropertyName = true'] : []),
  ];
  return `Parameter(${options.join(', ')})`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
