/** What every command runs with: the surroundings, the output it was asked for, and the client of whoever is signed in. */
import { readFileSync } from 'node:fs';
import { decodeText } from '../../shared/decode-text.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { Client } from './client.ts';
import { readConfig } from './config.ts';
import type { Output } from './output.ts';
import type { Surroundings } from './surroundings.ts';

export interface Session {
  readonly surroundings: Surroundings;
  readonly output: Output;
  /** Throws ERR_NOT_SIGNED_IN where nobody has signed in. FARSHORE_TOKEN goes before what is kept. */
  client(): Client;
}

export function makeSession(surroundings: Surroundings, output: Output): Session {
  return {
    surroundings,
    output,
    client() {
      const config = readConfig(surroundings);
      if (config === null)
        throw new FarshoreError('ERR_NOT_SIGNED_IN', 'no control plane is known: run `farshore sign-in` or `farshore connect` first');
      const secret = surroundings.environment.FARSHORE_TOKEN ?? config.secret;
      if (secret === null) throw new FarshoreError('ERR_NOT_SIGNED_IN', 'nobody is signed in: run `farshore sign-in`');
      return new Client({ ...config, secret: secret.trim() });
    },
  };
}

/** Throws ERR_REQUEST_INVALID. */
export function readText(file: string, what: string): string {
  try {
    return decodeText(readFileSync(file));
  } catch (cause) {
    throw new FarshoreError(
      'ERR_REQUEST_INVALID',
      `${what} cannot be read: ${file} (${(cause as NodeJS.ErrnoException).code ?? 'not UTF-8'})`,
      { cause },
    );
  }
}
