/** Who may call what: every route of the table against every role, and what is another vault's against what is not there. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { User } from '../../control-plane/store/account-store.ts';
import { ROLES, type Role } from '../../shared/api/fields.ts';
import type { Route } from '../../shared/api/route.ts';
import { ROUTE_IDS, type RouteId, routeOf } from '../../shared/api/routes.ts';
import { ApiWorld, PASSWORD } from '../support/api-world.ts';

/** A path of the route with ids that name nothing. */
function pathOf(route: Route): string {
  return route.path.replaceAll(/\{(\w+)\}/g, (_, name) => (name === 'tokenId' ? '0123456789abcdef' : randomUUID()));
}

async function statusOf(world: ApiWorld, id: RouteId, secret?: string): Promise<{ status: number; code: string | undefined }> {
  const route = routeOf(id);
  // Not JSON at all: whoever is let in is told so, and whoever is not learns nothing else.
  const data = route.body ? '[' : undefined;
  const url = id === 'events' ? `${pathOf(route)}?job=${randomUUID()}` : pathOf(route);
  const answer = await world
    .client(secret)
    .request({ method: route.method, url, data, headers: data ? { 'Content-Type': 'application/json' } : {} });
  return { status: answer.status, code: answer.data?.code };
}

describe('the route table is what is enforced', () => {
  let world: ApiWorld;
  const users = new Map<Role, User>();
  before(async () => {
    world = await ApiWorld.open(null);
    const kim = await world.addVault('Northgate', 'kim');
    users.set('owner', kim);
    for (const role of ['operator', 'viewer'] as const) users.set(role, await world.addUser(kim, role, role));
  });
  after(() => world.close());

  const check = (id: RouteId, role: Role | null) => async () => {
    const { access } = routeOf(id);
    const user = role === null ? undefined : users.get(role);
    const { status, code } = await statusOf(world, id, user && (await world.credential(user)));
    const isIn = access === 'public' || (role !== null && ROLES.indexOf(role) >= ROLES.indexOf(access));
    if (isIn) assert.equal(status === 401 || status === 403, false, `${status} ${code}`);
    else
      assert.deepEqual(
        { status, code },
        role === null ? { status: 401, code: 'ERR_NOT_SIGNED_IN' } : { status: 403, code: 'ERR_FORBIDDEN' },
      );
  };

  for (const id of ROUTE_IDS) {
    it(`${id} without a credential`, check(id, null));
    for (const role of ROLES) it(`${id} as ${role}`, check(id, role));
  }
});

describe('another vault', () => {
  it('answers for its ids as for ids that nobody has, down to the last word', async (t) => {
    const world = await ApiWorld.open(t);
    const kim = await world.addVault('Northgate', 'kim');
    const eve = await world.addVault('Southgate', 'eve');
    const site = await world.addSite(kim, 'Reading', 'Production', ['web-01']);
    const mine = world.client(await world.credential(kim));
    const hers = world.client(await world.credential(eve));
    const { data: token } = await mine.post('/api/v1/tokens', { name: 'nightly', role: 'viewer' });
    const paths = (siteId: string, tokenId: string): [string, string, object?][] => [
      ['get', `/api/v1/sites/${siteId}`],
      ['get', `/api/v1/sites/${siteId}/vms`],
      ['post', `/api/v1/sites/${siteId}/registration-keys`, {}],
      ['delete', `/api/v1/tokens/${tokenId}`],
    ];
    const foreign = paths(site.id, token.id);
    for (const [index, [method, url, data]] of paths(randomUUID(), '0123456789abcdef').entries()) {
      const [, foreignUrl] = foreign[index] ?? [];
      const random = await hers.request({ method, url, ...(data && { data }) });
      const theirs = await hers.request({ method, url: foreignUrl ?? '', ...(data && { data }) });
      assert.equal(theirs.status, 404, foreignUrl);
      const { instance: _a, ...one } = random.data;
      const { instance: _b, ...other } = theirs.data;
      assert.deepEqual(one, other);
    }
    assert.equal((await mine.get(`/api/v1/sites/${site.id}`)).status, 200, 'it is there for its own vault');
    for (const list of ['sites', 'clouds', 'networks', 'tokens', 'jobs', 'plans', 'pairings']) {
      const { data } = await hers.get(`/api/v1/${list}`);
      assert.deepEqual(Object.values(data), [[]], list);
    }
  });
});

describe('credentials', () => {
  it('give a token no more than its scope, nor more than its user has', async (t) => {
    const world = await ApiWorld.open(t);
    const kim = await world.addVault('Northgate', 'kim');
    const sam = await world.addUser(kim, 'sam', 'operator');
    const scoped = world.client(await world.credential(kim, 'token', 'viewer'));
    assert.equal((await scoped.post('/api/v1/sites', { name: 'Reading' })).status, 403);
    assert.equal((await scoped.get('/api/v1/sites')).status, 200);
    const overreaching = world.client(await world.credential(sam, 'token', 'owner'));
    assert.equal((await overreaching.get('/api/v1/users')).status, 403, 'the role of its user bounds it');
    const session = world.client(await world.credential(sam));
    assert.equal((await session.post('/api/v1/tokens', { name: 'more', role: 'owner' })).data.code, 'ERR_FORBIDDEN');
    const byToken = world.client(await world.credential(sam, 'token'));
    assert.equal((await byToken.post('/api/v1/tokens', { name: 'again', role: 'viewer' })).data.code, 'ERR_FORBIDDEN');
  });

  it('end when they expire, are revoked, or sign out', async (t) => {
    const world = await ApiWorld.open(t);
    const kim = await world.addVault('Northgate', 'kim');
    const late = world.client(await world.credential(kim, 'session', 'owner', -1));
    assert.equal((await late.get('/api/v1/session')).status, 401);
    const mine = world.client(await world.credential(kim));
    const { data: made } = await mine.post('/api/v1/tokens', { name: 'nightly', role: 'viewer', days: 1 });
    const tokens = (await mine.get('/api/v1/tokens')).data.tokens;
    assert.equal(JSON.stringify(tokens).includes(made.secret), false, 'shown once');
    const nightly = world.client(made.secret);
    assert.equal((await nightly.get('/api/v1/session')).data.role, 'viewer');
    assert.equal((await mine.delete(`/api/v1/tokens/${made.id}`)).status, 204);
    assert.equal((await nightly.get('/api/v1/session')).status, 401);
    assert.equal((await mine.delete('/api/v1/session')).status, 204);
    assert.equal((await mine.get('/api/v1/session')).status, 401);
  });

  it('come to browsers in a cookie that scripts and other sites do not get, and not in the answer', async (t) => {
    const world = await ApiWorld.open(t);
    await world.addVault('Northgate', 'kim');
    const signedIn = await world.client().post('/api/v1/session', { name: 'kim', password: PASSWORD });
    assert.equal(signedIn.status, 201);
    assert.equal(signedIn.data.secret, null);
    const [cookie = ''] = signedIn.headers['set-cookie'] ?? [];
    for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Strict', 'Path=/']) assert.ok(cookie.includes(attribute), attribute);
    const headers = { Cookie: cookie.split(';')[0] ?? '' };
    assert.equal((await world.client(undefined, headers).get('/api/v1/session')).status, 200);
    const post = (origin: string) =>
      world.client(undefined, { ...headers, Origin: origin }).post('/api/v1/sites', { name: `at ${origin}` });
    assert.equal((await post('https://127.0.0.1:1')).status, 403, 'a page of another port');
    assert.equal((await post(world.address)).status, 201);
  });

  it('tell nothing of who is there: an unknown name and a wrong password are one answer in one time', async (t) => {
    const world = await ApiWorld.open(t);
    await world.addVault('Northgate', 'kim');
    const attempt = async (name: string) => {
      const begin = performance.now();
      const { status, data } = await world.client().post('/api/v1/session', { name, password: 'wrong wrong wrong' });
      const { instance: _, ...rest } = data;
      return { took: performance.now() - begin, status, rest };
    };
    await attempt('kim');
    const [known, unknown] = [await attempt('kim'), await attempt('nobody')];
    assert.equal(known.status, 401);
    assert.deepEqual(known.rest, unknown.rest);
    assert.ok(unknown.took > known.took / 4, `${unknown.took} ms, and ${known.took} ms where the name is known`);
  });

  it('cannot be guessed at more than a few times a minute', async (t) => {
    const world = await ApiWorld.open(t, { perMinute: { strict: 2, generous: 100 } });
    const attempt = () => world.client().post('/api/v1/session', { name: 'kim', password: 'x' });
    await attempt();
    await attempt();
    const third = await attempt();
    assert.equal(third.status, 429);
    assert.ok(Number(third.headers['retry-after']) > 0);
    assert.equal((await world.client().get('/api/v1/health')).status, 200, 'others are not held up');
  });
});
