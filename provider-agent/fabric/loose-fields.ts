/** Reading a document that has not passed its schema yet, or did not: what is not of the form is as if it were not there. */

export type Fields = Record<string, unknown>;
export type Report = (path: PropertyKey[], message: string, allowed?: string) => void;

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function objectsOf(value: unknown): [number, Fields][] {
  return listOf(value).map((item, i): [number, Fields] => [i, fieldsOf(item)]);
}

export function uniqueNames(list: unknown, path: readonly PropertyKey[], report: Report): string[] {
  const names: string[] = [];
  for (const [i, { name }] of objectsOf(list)) {
    if (typeof name !== 'string') continue;
    if (names.includes(name)) report([...path, i, 'name'], `'${name}' is the name of another one already`, 'a name of its own');
    names.push(name);
  }
  return names;
}
