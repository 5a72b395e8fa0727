/** The resources of the API over real HTTPS: set-up, plans, jobs, the event stream, and how refusals look. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { prepareSetup } from '../../control-plane/api/set-up.ts';
import { readEvents } from '../../control-plane/cli/event-reader.ts';
import { hashSecret } from '../../control-plane/store/secrets.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { parseRegistrationKey } from '../../shared/protocol/registration.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { ApiWorld, fail, PASSWORD, succeed } from '../support/api-world.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

async function opened(t: TestContext) {
  const world = await ApiWorld.open(t);
  const kim = await world.addVault('Northgate', 'kim');
  const secret = await world.credential(kim);
  return { world, kim, secret, http: world.client(secret) };
}

async function paired(t: TestContext, vms: readonly string[] = ['web-01', 'web-02']) {
  const all = await opened(t);
  const { world, kim, http } = all;
  const reading = await world.addSite(kim, 'Reading', 'Production', vms);
  const slough = await world.addSite(kim, 'Slough', 'Recovery');
  const end = (site: typeof reading) => ({ siteId: site.id, cloudId: site.cloudId });
  const run = async (body: object) => {
    const started = await http.post('/api/v1/operations', { id: randomUUID(), ...body });
    assert.equal(started.status, 202, JSON.stringify(started.data));
    await world.jobEnded(kim, started.data.id);
    return started.data;
  };
  await run({ kind: 'pair', name: 'main', primary: end(reading), recovery: end(slough), policy: defaultPolicy, networks: [] });
  const { data } = await http.get('/api/v1/pairings');
  const pairing = data.pairings[0];
  assert.equal(pairing.state, 'paired');
  const there = (await http.get(`/api/v1/sites/${reading.id}/vms`)).data.vms as { id: string; name: string }[];
  const protect = { kind: 'protect', pairing: pairing.id, vms: there.map(({ id }) => id) };
  return { ...all, reading, slough, pairing, protect, run };
}

describe('set-up', () => {
  it('works once, with the newest secret only', async (t) => {
    const world = await ApiWorld.open(t);
    const ports = { store: world.store, clock: systemClock, random: systemRandom };
    const old = (await prepareSetup(ports, world.address)) ?? '';
    const link = (await prepareSetup(ports, world.address)) ?? '';
    assert.match(link, /^https:\/\/127\.0\.0\.1:\d+\/setup#[\w-]{43}$/);
    const page = await world.client().get('/setup');
    assert.equal(page.status, 200);
    assert.doesNotMatch(String(page.data), /<script>|<style>|style="/, 'nothing inline, as the policy wants it');
    assert.match(String(page.headers['content-security-policy']), /script-src 'self'/);
    const setUp = (from: string) =>
      world
        .client()
        .post('/api/v1/setup', { secret: from.slice(from.indexOf('#') + 1), vaultName: 'Northgate', ownerName: 'kim', password: PASSWORD });
    assert.equal((await setUp(old)).data.code, 'ERR_SETUP_SECRET_WRONG');
    const two = await Promise.all([setUp(link), setUp(link)]);
    assert.deepEqual(two.map(({ status }) => status).sort(), [201, 410]);
    assert.equal((await setUp(link)).data.code, 'ERR_SETUP_DONE');
    for (const path of ['/setup', '/setup/page.js', '/setup/page.css']) assert.equal((await world.client().get(path)).status, 410, path);
    assert.equal(await prepareSetup(ports, world.address), null);
    const signedIn = await world.client().post('/api/v1/session', { name: 'kim', password: PASSWORD, as: 'bearer' });
    assert.equal((await world.client(signedIn.data.secret).get('/api/v1/session')).data.role, 'owner');
    const log = JSON.stringify(world.logged);
    for (const secret of [PASSWORD, link.slice(-43), signedIn.data.secret]) assert.equal(log.includes(secret), false);
  });
});

describe('refusals', () => {
  it('are problem documents that name every mistake and quote no secret', async (t) => {
    const { http, world } = await opened(t);
    const answer = await http.post('/api/v1/users', { name: 'a b', password: 'hunter2', role: 'owner', colour: 'red' });
    assert.equal(answer.status, 422);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
    assert.equal(answer.data.code, 'ERR_REQUEST_INVALID');
    assert.deepEqual(answer.data.problems.map(({ field }: { field: string }) => field).sort(), ['colour', 'name', 'password', 'role']);
    for (const key of ['title', 'detail', 'cause', 'remedy', 'instance']) assert.equal(typeof answer.data[key], 'string', key);
    assert.equal(JSON.stringify(answer.data).includes('hunter2'), false);
    assert.ok(
      world.logged.some(({ fields }) => JSON.stringify(fields).includes(answer.data.instance)),
      'logged once, under the same name',
    );
  });

  it('say nothing of what went wrong inside', async (t) => {
    const { http, world } = await opened(t);
    world.store.sites.list = () => Promise.reject(new Error('SECRET table is gone'));
    const { status, data } = await http.get('/api/v1/sites');
    assert.equal(status, 500);
    assert.equal(JSON.stringify(data).includes('table'), false);
  });

  it('come for what is no JSON, too large, or no route', async (t) => {
    const { http } = await opened(t);
    const headers = { 'Content-Type': 'application/json' };
    assert.equal((await http.post('/api/v1/sites', '{"name":', { headers })).data.code, 'ERR_REQUEST_INVALID');
    assert.match((await http.post('/api/v1/sites', JSON.stringify({ name: 'x'.repeat(70_000) }), { headers })).data.detail, /too large/);
    assert.equal((await http.get('/api/v1/nothing')).status, 404);
    assert.equal((await http.get('/api/v1/jobs?limit=0&color=red')).data.problems.length, 2);
  });
});

describe('sites', () => {
  it('get a registration key for one to 120 hours that an agent can read', async (t) => {
    const { http, world } = await opened(t);
    const site = (await http.post('/api/v1/sites', { name: 'Reading' })).data;
    assert.equal((await http.post('/api/v1/sites', { name: 'Reading' })).status, 409);
    const url = `/api/v1/sites/${site.id}/registration-keys`;
    for (const hours of [0, 121, 1.5]) assert.equal((await http.post(url, { hours })).status, 422, String(hours));
    const made = await http.post(url, { hours: 120 });
    const key = parseRegistrationKey(made.data.key);
    assert.equal(key.authorityDigest, world.authority.digest);
    const { registrationKeys } = (await http.get(url)).data;
    assert.equal(registrationKeys[0].state, 'usable');
    assert.equal(JSON.stringify(registrationKeys).includes(key.secret), false);
  });

  it('show what they reported with its age, and unknown past its freshness', async (t) => {
    const { http, world, kim } = await opened(t);
    const site = await world.addSite(kim, 'Reading', 'Production', ['web-01']);
    const shown = async () => (await http.get(`/api/v1/sites/${site.id}/vms`)).data.vms[0].observation;
    assert.equal((await shown()).power, 'running');
    const hourAgo = Date.now() - 3_600_000;
    const [seen] = await world.store.observations.vms(kim.vaultId, {});
    assert.ok(seen);
    const message = {
      type: 'inventory.changed' as const,
      full: true,
      clouds: [],
      networks: [],
      vms: [seen.report],
      removedVms: [],
      digest: null,
    };
    await world.store.observations.take(kim.vaultId, site.id, message, hourAgo);
    world.heardAt.set(site.id, hourAgo);
    const old = await shown();
    assert.deepEqual([old.isFresh, old.power, old.replication.state], [false, 'unknown', 'unknown']);
    assert.ok(old.ageSeconds >= 3600);
    world.heardAt.set(site.id, Date.now());
    const held = await shown();
    assert.deepEqual([held.isFresh, held.power], [true, 'running'], 'it holds for as long as its agent is heard');
  });
});

describe('plans', () => {
  const text = (vm: string) => `name: shop\ngroups:\n  - name: web\n    members:\n      - { vm: ${vm} }\n`;

  it('are saved as versions when they say something new, and only without mistakes', async (t) => {
    const { http, protect, run } = await paired(t);
    await run(protect);
    const save = (body: string) => http.put('/api/v1/plans/shop', { text: body, fileName: 'shop.yaml' });
    const first = await save(text('web-01'));
    assert.deepEqual([first.status, first.data.version, first.data.isChanged], [200, 1, true], JSON.stringify(first.data));
    assert.deepEqual([(await save(text('web-01'))).data.isChanged, (await save(text('web-02'))).data.version], [false, 2]);
    assert.equal((await http.get('/api/v1/plans/shop?version=1')).data.document.groups[0].members[0].vm, 'web-01');
    const wrong = await save(text('web-03').replace('web\n', 'web\n    color: red\n'));
    assert.equal(wrong.data.code, 'ERR_DOCUMENT_INVALID');
    assert.deepEqual([wrong.data.problems[0].file, wrong.data.problems[0].line], ['shop.yaml', 4]);
    const unknown = await http.post('/api/v1/plans/check', { text: text('web-3'), fileName: 'a.yaml' });
    assert.equal(unknown.data.problems[0].line, 5);
    assert.equal((await http.get('/api/v1/plans')).data.plans[0].version, 2, 'nothing of it was saved');
    const json = await http.put('/api/v1/plans/j', {
      text: JSON.stringify({ name: 'j', groups: [{ name: 'g', members: [{ vm: 'Production/web-01' }] }] }),
    });
    assert.equal(json.status, 200);
    const members = (await http.get('/api/v1/plans/j/members')).data.groups[0].members;
    assert.equal(members[0].name, 'web-01');
  });
});

describe('pairings', () => {
  it('are removed when nothing stands on them; the refusal says what does', async (t) => {
    const { http, run, pairing, protect } = await paired(t, ['web-01']);
    await run(protect);
    const unpair = { kind: 'unpair', pairing: pairing.id };
    const refused = await http.post('/api/v1/operations', { id: randomUUID(), ...unpair });
    assert.deepEqual([refused.status, refused.data.code, refused.data.problems[0].field], [409, 'ERR_CONFLICT', 'web-01']);
    const { protectedVms } = (await http.get('/api/v1/protected-vms')).data;
    await run({ kind: 'unprotect', target: { vms: [protectedVms[0].id] } });
    await run(unpair);
    assert.deepEqual((await http.get('/api/v1/pairings')).data.pairings, []);
    const again = await http.post('/api/v1/operations', { id: randomUUID(), ...unpair });
    assert.deepEqual([again.status, again.data.code], [404, 'ERR_NOT_FOUND']);
  });
});

describe('operations and jobs', () => {
  it('are one job for one id: the same content again is the same job, another is refused', async (t) => {
    const { http, protect, world } = await paired(t);
    world.answers = () => null;
    const id = randomUUID();
    const first = await http.post('/api/v1/operations', { id, ...protect });
    assert.equal(first.headers.location, `/api/v1/jobs/${id}`);
    const again = await http.post('/api/v1/operations', { id, ...protect });
    assert.deepEqual([again.status, again.data], [202, first.data]);
    const other = await http.post('/api/v1/operations', { id, ...protect, vms: protect.vms.slice(1) });
    assert.deepEqual([other.status, other.data.code], [422, 'ERR_ID_REUSED']);
    assert.equal((await http.get('/api/v1/jobs')).data.jobs.length, 2);
  });

  it('show members with their steps, errors with cause and remedy, and the decision of a person', async (t) => {
    const { http, protect, run, world, reading, kim } = await paired(t, ['web-01']);
    await run(protect);
    const vm = (await http.get('/api/v1/protected-vms')).data.protectedVms[0];
    const allowed = vm.allowedOperations
      .filter(({ isAllowed }: { isAllowed: boolean }) => isAllowed)
      .map(({ operation }: { operation: string }) => operation);
    assert.deepEqual(allowed, ['plannedFailover', 'unplannedFailover', 'suspend', 'resume', 'resynchronize', 'testFailover', 'unprotect']);
    const failover = { kind: 'unplannedFailover', target: { vms: [vm.id] }, primary: { evidence: 'unreachable', reason: 'fire' } };
    const refused = await http.post('/api/v1/operations', { id: randomUUID(), ...failover });
    assert.equal(refused.data.code, 'ERR_PRIMARY_REACHABLE');
    world.goDark(reading);
    // The site was heard for 45 s after the recovery point, which is a minute old.
    world.heardAt.set(reading.id, Date.now() - 15_000);
    world.answers = (command) => (command.command.kind === 'vm.start' ? fail('ERR_WRONG_STATE') : succeed(command));
    const job = await run(failover);
    const detail = (await http.get(`/api/v1/jobs/${job.id}`)).data;
    assert.equal(detail.state, 'parked');
    const [member] = detail.groups[0].members;
    assert.deepEqual([member.name, member.status], ['web-01', 'waitsForPerson']);
    const step = member.steps.find((one: { waitsForPerson: boolean }) => one.waitsForPerson);
    assert.match(step.error.remedy, /replication/);
    world.answers = succeed;
    const decided = await http.post(`/api/v1/jobs/${job.id}/decisions`, {
      step: step.id,
      decision: 'retry',
      reason: 'seen on the console',
    });
    assert.equal(decided.status, 204);
    await until('it goes on', async () => (await http.get(`/api/v1/jobs/${job.id}`)).data.state === 'succeeded');
    const report = (await http.get(`/api/v1/jobs/${job.id}/report`)).data;
    assert.deepEqual([report.decisions[0].by, report.vms[0].outcome], [kim.name, 'succeeded']);
    assert.ok(report.vms[0].rpoSeconds >= 44 && report.vms[0].rpoSeconds < 60, `${report.vms[0].rpoSeconds} s`);
  });
});

describe('the event stream', () => {
  const listen = async (world: ApiWorld, secret: string, job: string, after: number): Promise<Readable> => {
    const { data, status } = await world
      .client(secret, { 'Last-Event-ID': String(after) })
      .get<Readable>(`/api/v1/events?job=${job}`, { responseType: 'stream' });
    assert.equal(status, 200);
    return data;
  };
  const collect = async (stream: Readable, isEnough: (seqs: number[]) => boolean) => {
    const seqs: number[] = [];
    for await (const event of readEvents(stream, systemClock)) {
      if (event?.name === 'fact' && event.id !== null) seqs.push(event.id);
      if (isEnough(seqs)) break;
    }
    return seqs;
  };

  it('gives the facts of a job in order while they happen, and resumes behind the last one seen', async (t) => {
    const { http, protect, world, reading, slough, secret } = await paired(t);
    world.answers = () => null;
    const job = (await http.post('/api/v1/operations', { id: randomUUID(), ...protect })).data;
    const stream = await listen(world, secret, job.id, 0);
    const live = collect(stream, (seqs) => seqs.length >= 6);
    world.answers = succeed;
    for (const command of world.sent.filter(({ jobId }) => jobId === job.id)) world.finish(reading.id, command);
    const seen = await live;
    assert.deepEqual(seen.slice(0, 6), [1, 2, 3, 4, 5, 6]);
    await until('it ends', async () => (await http.get(`/api/v1/jobs/${job.id}`)).data.state === 'succeeded');
    const last = (await http.get(`/api/v1/jobs/${job.id}`)).data.lastSeq;
    const rest = await collect(await listen(world, secret, job.id, 6), (seqs) => seqs.at(-1) === last);
    assert.deepEqual(
      rest,
      Array.from({ length: last - 6 }, (_, index) => index + 7),
    );
    assert.ok(slough.id);
  });

  it('names what changed, by id, to whoever listens to the vault, and nothing of another vault', async (t) => {
    const { http, world, secret } = await opened(t);
    const eve = await world.addVault('Southgate', 'eve');
    const { data: stream } = await world.client(secret).get<Readable>('/api/v1/events', { responseType: 'stream' });
    const next = readEvents(stream, systemClock)[Symbol.asyncIterator]();
    world.bell.ring(eve.vaultId, { type: 'vms' });
    const site = (await http.post('/api/v1/sites', { name: 'Reading' })).data;
    assert.deepEqual((await next.next()).value, { name: 'site', id: null, data: { siteId: site.id } });
    await next.return?.(undefined);
  });

  it('shows a sign of life every 15 s, and ends when the credential was revoked', async (t) => {
    const clock = new ManualClock(Date.now());
    const world = await ApiWorld.open(t, { clock });
    const kim = await world.addVault('Northgate', 'kim');
    const secret = await world.credential(kim);
    const { data: stream } = await world.client(secret).get<Readable>('/api/v1/events', { responseType: 'stream' });
    let text = '';
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    const ended = new Promise<void>((resolve) => stream.on('error', () => resolve()).on('close', () => resolve()));
    const beats = () => text.split(': still here').length - 1;
    await until('the stream waits for its heartbeat', () => clock.nextIn() !== null);
    assert.equal(beats(), 0);
    clock.advance(15_000);
    await until('the first sign of life', () => beats() === 1);
    await until('the next is waited for', () => clock.nextIn() !== null);
    await world.store.accounts.removeCredential(kim.vaultId, hashSecret(secret));
    clock.advance(15_000);
    await ended;
    assert.equal(beats(), 1);
  });

  it('is refused for a job of another vault', async (t) => {
    const { protect, run, world } = await paired(t);
    const job = await run(protect);
    const eve = await world.addVault('Southgate', 'eve');
    assert.equal((await world.client(await world.credential(eve)).get(`/api/v1/events?job=${job.id}`)).status, 404);
  });
});
