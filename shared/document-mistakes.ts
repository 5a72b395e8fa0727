/**
 * Turns the issues of the schema library into mistakes that a person understands: the field, what is wrong
 * with it, and what is allowed there, with a guess where a name is nearly right.
 */
import type { z } from 'zod';

export type FieldPath = readonly PropertyKey[];

export interface Mistake {
  path: FieldPath;
  message: string;
  allowed?: string;
  /** The name of the field is wrong, not its value. */
  isAboutKey: boolean;
}

type Issue = z.core.$ZodIssue;

export function mistakesOf(issues: readonly Issue[], raw: unknown, schema: z.ZodType): Mistake[] {
  return issues.flatMap((issue) => mistakesOfIssue(issue, [], raw, schema));
}

/** `vms[2].disks[0].size` */
export function fieldText(path: FieldPath): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`)).join('');
}

function mistakesOfIssue(issue: Issue, above: FieldPath, raw: unknown, schema: z.ZodType): Mistake[] {
  const path = [...above, ...issue.path];
  const value = valueAt(raw, path);
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt(schema, path, raw);
    return issue.keys.map((key) => {
      const guess = nearest(key, known);
      const message = guess === undefined ? 'is not a field here' : `is not a field here; did you mean '${guess}'?`;
      return { path: [...path, key], message, isAboutKey: true, ...(known.length > 0 ? { allowed: known.join(', ') } : {}) };
    });
  }
  if (issue.code === 'invalid_union') return mistakesOfUnion(issue, path, raw, schema);
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? 'is not a name allowed here', isAboutKey: true }];
  if (value === undefined && issue.code !== 'custom') return [{ path, message: 'is missing', ...allowedBy(issue), isAboutKey: false }];
  return [{ path, message: messageOf(issue, value), ...allowedBy(issue), isAboutKey: false }];
}

/** Of the forms that a union allows, the one that the person most likely meant; where none is near, all of them. */
function mistakesOfUnion(issue: z.core.$ZodIssueInvalidUnion, path: FieldPath, raw: unknown, schema: z.ZodType): Mistake[] {
  const value = valueAt(raw, path);
  if (issue.errors.length === 0) {
    const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
    return [
      { path, message: value === undefined ? 'is missing' : wrongValue(value, options), allowed: options.join(', '), isAboutKey: false },
    ];
  }
  const near = issue.errors.filter((branch) => !branch.some((inner) => inner.path.length === 0 && isOfShape(inner)));
  const meant = near.toSorted((a, b) => weightOf(a) - weightOf(b))[0];
  if (meant !== undefined) return meant.flatMap((inner) => mistakesOfIssue(inner, path, raw, schema));
  const allowed = [...new Set(issue.errors.flatMap((branch) => branch.flatMap((inner) => allowedBy(inner).allowed ?? [])))];
  return [
    {
      path,
      message: value === undefined ? 'is missing' : `${shown(value)} is not allowed`,
      ...(allowed.length > 0 ? { allowed: allowed.join(', or ') } : {}),
      isAboutKey: false,
    },
  ];
}

/** Mistakes of a form: each field that it does not know is one. */
function weightOf(issues: readonly Issue[]): number {
  return issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1), 0);
}

function isOfShape(issue: Issue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

function messageOf(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return `${shown(value)} is ${kindOf(value)}`;
    case 'invalid_value':
      return wrongValue(value, issue.values.map(String));
    case 'too_small':
      return typeof value === 'number' ? `${shown(value)} is too small` : 'is too short';
    case 'too_big':
      return typeof value === 'number' ? `${shown(value)} is too large` : 'is too long';
    case 'invalid_format':
      return `${shown(value)} does not have the right form`;
    default:
      return issue.message;
  }
}

function allowedBy(issue: Issue): { allowed?: string } {
  switch (issue.code) {
    case 'invalid_type':
      return { allowed: typeWords[issue.expected] ?? issue.expected };
    case 'invalid_value':
      return { allowed: issue.values.map(String).join(', ') };
    case 'too_small':
      return { allowed: `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${countedIn(issue.origin)}` };
    case 'too_big':
      return { allowed: `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${countedIn(issue.origin)}` };
    case 'not_multiple_of':
      return { allowed: `a multiple of ${issue.divisor}` };
    case 'invalid_format':
      return { allowed: formatWords[issue.format] ?? issue.message };
    case 'custom':
      return typeof issue.params?.allowed === 'string' ? { allowed: issue.params.allowed } : {};
    default:
      return {};
  }
}

const typeWords: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object with fields',
  record: 'an object with fields',
};

const formatWords: Record<string, string> = {
  ipv4: "an IPv4 address such as '10.1.0.20'",
  ipv6: "an IPv6 address such as '2001:db8::20'",
  url: "an address such as 'https://shop.example/health'",
  uuid: "a UUID such as '7b8e5d7a-5c1e-4b62-8a5e-0f6f2f0a7c11'",
  datetime: "a moment such as '2026-11-23T02:00:00Z'",
};

function countedIn(origin: string): string {
  return origin === 'string' ? ' characters' : origin === 'array' ? ' entries' : '';
}

function wrongValue(value: unknown, options: readonly string[]): string {
  const guess = typeof value === 'string' ? nearest(value, options) : undefined;
  return guess === undefined
    ? `${shown(value)} is not one of those allowed`
    : `${shown(value)} is not one of those allowed; did you mean '${guess}'?`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object with fields' : typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return 'an empty value';
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object';
  const text = String(value);
  return `'${text.length > 40 ? `${text.slice(0, 40)}...` : text}'`;
}

export function valueAt(raw: unknown, path: FieldPath): unknown {
  let value = raw;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

/** Names of the fields that the schema knows at a path, over all the forms that it allows there for what is written. */
function fieldsAt(schema: z.ZodType, path: FieldPath, raw: unknown): string[] {
  let here: z.ZodType[] = formsOf(schema, raw);
  for (const [index, part] of path.entries()) {
    const value = valueAt(raw, path.slice(0, index + 1));
    here = here.flatMap((form) => {
      const def = form.def as unknown as SchemaDef;
      const inner = def.shape?.[String(part)] ?? def.element ?? def.valueType;
      return inner === undefined ? [] : formsOf(inner, value);
    });
  }
  return [...new Set(here.flatMap((form) => Object.keys((form.def as unknown as SchemaDef).shape ?? {})))];
}

/** The parts of a schema's definition that lead to its fields. */
interface SchemaDef {
  shape?: Record<string, z.ZodType>;
  element?: z.ZodType;
  valueType?: z.ZodType;
  innerType?: z.ZodType;
  options?: readonly z.ZodType[];
  /** The field that tells the options apart. */
  discriminator?: string;
  in?: z.ZodType;
  getter?: () => z.ZodType;
}

/** Where a field of the value tells which one it is, that form alone. */
function formsOf(schema: z.ZodType, value: unknown): z.ZodType[] {
  const { innerType, in: input, getter, options, discriminator } = schema.def as unknown as SchemaDef;
  const inner = innerType ?? input ?? getter?.();
  if (inner !== undefined) return formsOf(inner, value);
  const forms = options?.flatMap((option) => formsOf(option, value)) ?? [schema];
  if (discriminator === undefined) return forms;
  const isMeant = ({ def }: z.ZodType) =>
    (def as unknown as SchemaDef).shape?.[discriminator]?.safeParse(valueAt(value, [discriminator])).success === true;
  const meant = forms.filter(isMeant);
  return meant.length > 0 ? meant : forms;
}

/** The candidate that is at most a third of its letters away. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const near = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .toSorted((a, b) => a.distance - b.distance);
  return near[0]?.candidate;
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 20) return Number.POSITIVE_INFINITY;
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      row.push(Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + same));
    }
    above = row;
  }
  return above[b.length] ?? 0;
}
