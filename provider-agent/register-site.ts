/** `farshore-agent register`: a registration key becomes the identity in the data folder, through the proxy that `run` will take. */

import { makePrivateFolder } from '../certs/key-files.ts';
import { FarshoreError } from '../shared/errors.ts';
import { parseRegistrationKey } from '../shared/protocol/registration.ts';
import { chooseProxy } from './channel/proxy-choice.ts';
import { readConfig } from './config.ts';
import type { Identity } from './enroll/identity.ts';
import { parseProxy } from './enroll/proxy.ts';
import { register } from './enroll/register.ts';
import { openLedger, type Surroundings } from './run-agent.ts';
import { lockDataFolder } from './state/data-lock.ts';

export interface RegisterOptions {
  readonly proxy?: string;
  readonly replace: boolean;
}

const noConfig = { proxy: undefined, egress: { days: 365, megabytes: 1024 } };

/** Throws what `register` of enroll throws, and ERR_CONFLICT while an agent runs on the folder. */
export async function registerSite(key: string, surroundings: Surroundings, options: RegisterOptions): Promise<Identity> {
  const { paths, version, clock, environment } = surroundings;
  if (options.proxy !== undefined && parseProxy(options.proxy).credentials !== null) {
    throw new FarshoreError(
      'ERR_REQUEST_INVALID',
      'credentials of a proxy are not taken from an argument: put them into agent.yaml or HTTPS_PROXY',
    );
  }
  const { address } = parseRegistrationKey(key);
  await makePrivateFolder(paths.folder);
  const lock = await lockDataFolder(paths.folder);
  try {
    const config = await readConfig(paths).catch((error: unknown) => {
      if (error instanceof FarshoreError && error.code === 'ERR_NOT_FOUND') return noConfig;
      throw error;
    });
    const proxy = chooseProxy(address, options.proxy ?? config.proxy ?? null, environment);
    const egress = openLedger(config.egress, surroundings);
    egress.note(
      JSON.stringify({ type: 'enrol.register', agentVersion: version, secret: 'withheld', csr: 'of the key in the data folder' }),
    );
    egress.close();
    return await register(key, {
      dataDir: paths.folder,
      proxy: proxy === null ? null : parseProxy(proxy),
      clock,
      agentVersion: version,
      replace: options.replace,
    });
  } finally {
    lock.release();
  }
}
