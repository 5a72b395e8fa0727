/** Types as the contract writes them, and as C# writes them; what no list describes is made here: an enum of the values that are known, or an open class. */
import type { Cmdlet, Contract, DotNetType } from './contract.ts';

const system: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    'String Int16 Int32 Int64 UInt16 UInt32 UInt64 Boolean Byte Char Decimal Double Object Guid DateTime TimeSpan Version Uri Type Exception'
      .split(' ')
      .map((name) => [name, `System.${name}`]),
  ),
  ...Object.fromEntries(
    'SwitchParameter PSObject PSCredential ScriptBlock WildcardPattern'
      .split(' ')
      .map((name) => [name, `System.Management.Automation.${name}`]),
  ),
  uint16: 'System.UInt16',
  Hashtable: 'System.Collections.Hashtable',
  'System.Collections.Hashtable': 'System.Collections.Hashtable',
  'Collections.Hashtable': 'System.Collections.Hashtable',
  'System.Collections.IDictionary': 'System.Collections.IDictionary',
  StringCollection: 'System.Collections.Specialized.StringCollection',
  SecureString: 'System.Security.SecureString',
  'System.Security.SecureString': 'System.Security.SecureString',
  CimSession: 'Microsoft.Management.Infrastructure.CimSession',
  // Only Windows can make one.
  CimInstance: 'System.Management.Automation.PSObject',
  'Security.Principal.SecurityIdentifier': 'System.Object',
  'System.Security.AccessControl.FileSecurity': 'System.Object',
  'System.Security.Cryptography.X509Certificates.X509Extension': 'System.Security.Cryptography.X509Certificates.X509Extension',
};

const generics: Readonly<Record<string, string>> = {
  Nullable: 'System.Nullable',
  ...Object.fromEntries(
    'List IList IReadOnlyList IReadOnlyCollection'.split(' ').map((name) => [name, `System.Collections.Generic.${name}`]),
  ),
};

const namespaces: Readonly<Record<string, string>> = {
  'Hyper-V': 'Microsoft.HyperV.PowerShell',
  VirtualMachineManager: 'Microsoft.SystemCenter.VirtualMachineManager',
  FailoverClusters: 'Microsoft.FailoverClusters.PowerShell',
  NetSecurity: 'Microsoft.PowerShell.Cmdletization.GeneratedTypes.NetSecurity',
  NetTCPIP: 'Microsoft.PowerShell.Cmdletization.GeneratedTypes.NetIPAddress',
  pki: 'Microsoft.CertificateServices.Commands',
};

/** Cmdlets that the list of types counts as types. */
const notTypes = ['GetVMHostNumaNodeStatus', 'RestartVM'];

export class TypeNames {
  readonly contract: Contract;
  /** Full name -> members, of an enum; nothing, of a class. */
  readonly #made = new Map<string, readonly string[] | undefined>();

  constructor(contract: Contract, cmdlets: readonly Cmdlet[]) {
    this.contract = contract;
    for (const { module, parameters, outputs } of cmdlets) {
      if (namespaces[module] === undefined) continue;
      for (const { type, values } of parameters.values()) this.#note(type, module, values);
      for (const output of outputs)
        if (/^[\w.]+$/.test(output) && !output.startsWith('System.') && !output.includes('.Management.Infrastructure.'))
          this.#note(output, module);
    }
  }

  csharp(type: string, module: string): string {
    if (type.endsWith('[]')) return `${this.csharp(type.slice(0, -2), module)}[]`;
    const [, outer, inner] = /^([\w.]+)(?:`1)?(?:<|\[\[?)(.+?)(?:>|\]\]?)$/.exec(type) ?? [];
    if (outer !== undefined && inner !== undefined) {
      const generic = generics[outer.slice(outer.lastIndexOf('.') + 1)];
      return generic === undefined ? 'global::System.Object' : `global::${generic}<${this.csharp(inner, module)}>`;
    }
    const plain = system[type] ?? system[type.replace(/^System\./, '')];
    if (plain !== undefined) return `global::${plain}`;
    const known = this.#known(type);
    if (known !== undefined) return `global::${known}`;
    const full = fullName(type, module);
    return this.#made.has(full) ? `global::${full}` : 'global::System.Object';
  }

  source(): string {
    const listed = [...this.contract.types]
      .filter(([name]) => !notTypes.includes(name))
      .map(([name, type]) => this.#typeSource(name, type));
    const made = [...this.#made].map(([full, values]) => madeSource(full, values));
    return [...listed, ...made].join('\n');
  }

  #known(type: string): string | undefined {
    const name = type.slice(type.lastIndexOf('.') + 1);
    const known = this.contract.types.get(name);
    if (known === undefined || notTypes.includes(name)) return undefined;
    return type === name || type === `${known.namespace}.${name}` || type.startsWith('Commands.')
      ? `${known.namespace}.${name}`
      : undefined;
  }

  #note(type: string, module: string, values?: readonly string[]): void {
    if (type.endsWith('[]')) return this.#note(type.slice(0, -2), module, values);
    const inner = /`1\[(.+)\]$/.exec(type)?.[1];
    if (inner !== undefined) return this.#note(inner, module, values);
    if (system[type] !== undefined || type.startsWith('System.') || this.#known(type) !== undefined) return;
    const full = fullName(type, module);
    const before = this.#made.get(full) ?? [];
    this.#made.set(full, values === undefined && before.length === 0 ? undefined : [...new Set([...before, ...(values ?? [])])]);
  }

  #typeSource(name: string, { namespace, kind, values = {}, properties = {}, base }: DotNetType): string {
    if (kind === 'enum')
      return enumSource(
        `${namespace}.${name}`,
        Object.entries(values).map(([member, number]) => `${member} = ${number}`),
      );
    const inherited = base === undefined ? new Set<string>() : this.#propertiesOf(base);
    const isOpen = Object.keys(properties).length === 0 && base === undefined;
    const members = Object.entries(properties)
      .filter(([property]) => !inherited.has(property))
      .map(([property, type]) => `public ${this.csharp(type, 'Hyper-V')} ${property} { get; internal set; }`);
    const parent = base === undefined ? `Farshore.Stubs.${isOpen ? 'OpenObject' : 'ModelObject'}` : `global::${this.#known(base)}`;
    return classSource(`${namespace}.${name}`, parent, members);
  }

  #propertiesOf(name: string): Set<string> {
    const { properties = {}, base } = this.contract.types.get(name) ?? {};
    return new Set([...Object.keys(properties), ...(base === undefined ? [] : this.#propertiesOf(base))]);
  }
}

function fullName(type: string, module: string): string {
  return type.includes('.') ? type : `${namespaces[module]}.${type}`;
}

/** Everything that VMM hands out is a ClientObject. Numbers of enums that no source gives are ours. */
function madeSource(full: string, values: readonly string[] | undefined): string {
  if (values !== undefined) return enumSource(full, values);
  const client = `${namespaces.VirtualMachineManager}.ClientObject`;
  return classSource(
    full,
    full.startsWith(`${namespaces.VirtualMachineManager}.`) && full !== client ? `global::${client}` : 'Farshore.Stubs.OpenObject',
    [],
  );
}

function enumSource(full: string, members: readonly string[]): string {
  const dot = full.lastIndexOf('.');
  return `namespace ${full.slice(0, dot)} { public enum ${full.slice(dot + 1)} { ${members.join(', ')} } }`;
}

function classSource(full: string, base: string, members: readonly string[]): string {
  const dot = full.lastIndexOf('.');
  const name = full.slice(dot + 1);
  return `namespace ${full.slice(0, dot)} { public class ${name} : ${base} { internal ${name}() { }\n${members.join('\n')} } }`;
}
