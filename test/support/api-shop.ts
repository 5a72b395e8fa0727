/** A vault with a paired cloud whose VMs are protected, and its owner signed in on the command line: where stories about plans begin. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { AxiosInstance } from 'axios';
import type { User } from '../../control-plane/store/account-store.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import type { Clock } from '../../shared/ports.ts';
import { ApiWorld, type CliRun, type SiteInWorld } from './api-world.ts';

export interface ApiShop {
  readonly world: ApiWorld;
  readonly kim: User;
  readonly http: AxiosInstance;
  readonly reading: SiteInWorld;
  readonly slough: SiteInWorld;
  /** Runs the command line as the user; as kim where none is named. */
  readonly cli: (args: readonly string[], user?: User) => Promise<CliRun>;
  /** The path of a file with this text. */
  readonly file: (name: string, text: string) => Promise<string>;
  /** Posts the operation and waits until its job is at rest; answers the job's id. */
  readonly run: (body: object) => Promise<string>;
}

export async function openShop(t: TestContext, vms: readonly string[], options: { clock?: Clock } = {}): Promise<ApiShop> {
  const world = await ApiWorld.open(t, options);
  const kim = await world.addVault('Northgate', 'kim');
  const http = world.client(await world.credential(kim));
  const reading = await world.addSite(kim, 'Reading', 'Production', vms);
  const slough = await world.addSite(kim, 'Slough', 'Recovery');
  const run = async (body: object) => {
    const started = await http.post('/api/v1/operations', { id: randomUUID(), ...body });
    assert.equal(started.status, 202, JSON.stringify(started.data));
    await world.jobEnded(kim, started.data.id);
    return started.data.id as string;
  };
  const end = (site: SiteInWorld) => ({ siteId: site.id, cloudId: site.cloudId });
  await run({ kind: 'pair', name: 'main', primary: end(reading), recovery: end(slough), policy: defaultPolicy, networks: [] });
  const pairing = (await http.get('/api/v1/pairings')).data.pairings[0].id;
  const there = (await http.get(`/api/v1/sites/${reading.id}/vms`)).data.vms as { id: string }[];
  await run({ kind: 'protect', pairing, vms: there.map(({ id }) => id) });
  const kept = { address: world.address, ca: world.authority.certificate, secret: null };
  await writeFile(path.join(world.folder, 'cli.json'), JSON.stringify(kept));
  return {
    world,
    kim,
    http,
    reading,
    slough,
    run,
    cli: async (args, user = kim) => world.cli(args, { environment: { FARSHORE_TOKEN: await world.credential(user) } }),
    async file(name, text) {
      const file = path.join(world.folder, name);
      await writeFile(file, text);
      return file;
    },
  };
}
