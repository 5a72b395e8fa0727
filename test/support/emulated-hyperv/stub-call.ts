/** Reading what a stub cmdlet was given, and refusing it with an error record. */

import type { CmdletCall, CmdletError, ModelReference } from '../powershell/model-server.ts';

export class StubRefusal extends Error {
  readonly error: CmdletError;

  constructor(id: string, category: string, message: string) {
    super(message);
    this.error = { id, category, message, exception: 'VirtualizationOperationFailedException' };
  }
}

const isReference = (value: unknown): value is ModelReference => typeof value === 'object' && value !== null && '$ref' in value;

/** What the objects under this name refer to. */
export function referencesIn({ parameters }: CmdletCall, name: string): string[] {
  return listIn(parameters[name]).map((value) => {
    if (!isReference(value)) throw new Error(`-${name} has an object that the model did not make`);
    return String(value.$ref);
  });
}

export function textsIn({ parameters }: CmdletCall, name: string): string[] {
  return listIn(parameters[name]).map(String);
}

export function textIn(call: CmdletCall, name: string): string {
  return textsIn(call, name)[0] ?? '';
}

export const isGiven = ({ parameters }: CmdletCall, name: string): boolean => parameters[name] !== undefined && parameters[name] !== false;

function listIn(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}
