/** A value that is written out, against what its parameter takes. */
import type { Contract, Parameter } from '../contract.ts';
import type { Value } from './facts.ts';

const whole: Readonly<Record<string, readonly [number, number]>> = {
  Byte: [0, 255],
  Int16: [-32_768, 32_767],
  UInt16: [0, 65_535],
  Int32: [-2_147_483_648, 2_147_483_647],
  UInt32: [0, 4_294_967_295],
  Int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  UInt64: [0, Number.MAX_SAFE_INTEGER],
};

/** What is wrong with it, or nothing. */
export function wrongValue(contract: Contract, parameter: Parameter, value: Value): string | undefined {
  if (value.kind === 'list') {
    if (!parameter.type.endsWith('[]') && isScalar(contract, parameter.type)) return `takes one ${parameter.type}, and is given a list`;
    return value.items.map((item) => wrongValue(contract, parameter, item)).find((wrong) => wrong !== undefined);
  }
  if (value.kind !== 'constant' || value.value === null) return undefined;
  const type = parameter.type
    .replace('[]', '')
    .replace(/^System\./, '')
    .replace(/^Nullable`1\[(?:System\.)?(\w+)\]$/, '$1');
  const accepted = parameter.set ?? acceptedOf(contract, type, parameter);
  if (accepted !== undefined && !accepted.some((each) => each.toLowerCase() === String(value.value).toLowerCase())) {
    return `takes ${accepted.join(', ')}, and is given ${value.value}`;
  }
  return wrongType(contract, type, parameter, value.value);
}

function acceptedOf(contract: Contract, type: string, parameter: Parameter): readonly string[] | undefined {
  const members = contract.types.get(type);
  return members?.kind === 'enum' ? Object.keys(members.values ?? {}) : parameter.values;
}

function wrongType(contract: Contract, type: string, parameter: Parameter, value: string | number | boolean): string | undefined {
  const limits = whole[type];
  if (limits !== undefined) {
    const number = typeof value === 'boolean' ? Number.NaN : Number(value);
    const [least, most] = parameter.range ?? limits;
    return Number.isFinite(number) && number >= least && number <= most
      ? undefined
      : `takes ${type} from ${least} to ${most}, and is given ${value}`;
  }
  if (type === 'Boolean' && typeof value === 'string') return `takes $true or $false, and is given '${value}'`;
  if (type === 'Guid' && !/^\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?$/i.test(String(value)))
    return `takes an id, and is given ${value}`;
  return contract.types.get(type)?.kind === 'class' ? `takes an object of type ${type}, and is given '${value}'` : undefined;
}

function isScalar(contract: Contract, type: string): boolean {
  return (
    whole[type] !== undefined || ['Boolean', 'Guid', 'SwitchParameter', 'DateTime', 'TimeSpan'].includes(type) || contract.types.has(type)
  );
}
