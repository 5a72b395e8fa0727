/** Which fields differ between two objects, whatever the order of theirs. Pure. */
export interface FieldChange {
  readonly setting: string;
  /** Null: it is not set. */
  readonly from: unknown;
  readonly to: unknown;
}

export function fieldChanges(before: object, after: object): FieldChange[] {
  const [old, present] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  return [...new Set([...old.keys(), ...present.keys()])].flatMap((setting) => {
    const [from, to] = [old.get(setting) ?? null, present.get(setting) ?? null];
    return inOneForm(from) === inOneForm(to) ? [] : [{ setting, from, to }];
  });
}

/** The same text for values that differ only in the order of their fields. */
function inOneForm(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
