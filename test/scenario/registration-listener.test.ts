/** The enrolment listener as strangers meet it: what it does not read, how often it answers, and in which form. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeSiteRequest } from '../../certs/host-certificate.ts';
import { parseRegistrationKey } from '../../shared/protocol/registration.ts';
import { ecRequest } from '../support/ec-request.ts';
import { EnrolmentWorld } from '../support/enrolment-world.ts';

let world: EnrolmentWorld;
beforeEach(async () => {
  world = await EnrolmentWorld.open();
});
afterEach(() => world.close());

describe('the enrolment listener', () => {
  async function post(
    body: string,
    path = '/enrol/v1/register',
  ): Promise<{ status: number; type: string; retryAfter: string | undefined; problem: Record<string, unknown> }> {
    const options = { method: 'POST', ca: world.authority.certificate, headers: { 'Content-Type': 'application/json' } };
    const sent = request(new URL(path, world.address), options);
    sent.end(body);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    const text = (await answer.toArray()).join('');
    const { 'content-type': type, 'retry-after': retryAfter } = answer.headers;
    return { status: answer.statusCode ?? 0, type: type ?? '', retryAfter, problem: JSON.parse(text) };
  }

  it('refuses a request for a weak key or another curve, and the registration key stays good', async () => {
    const { secret } = parseRegistrationKey(world.makeKey());
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const csr of [makeSiteRequest(weak), await ecRequest('P-384'), '-----BEGIN CERTIFICATE REQUEST-----\nAAAA']) {
      const { status, type, problem } = await post(JSON.stringify({ secret, csr, agentVersion: '0.1.0' }));
      assert.equal(status, 422);
      assert.match(type, /^application\/problem\+json/);
      assert.equal(problem.code, 'ERR_CSR_INVALID');
      assert.ok(problem.title && problem.cause && problem.remedy);
      assert.ok(!JSON.stringify(problem).includes(secret));
    }
    assert.equal(world.usedKeys(), 0);
    assert.equal(world.store.agents.size, 0);
    await world.enrolment.register({ secret, csr: await ecRequest('P-256'), agentVersion: '0.1.0' });
    assert.equal(world.usedKeys(), 1);
  });

  it('refuses bodies that are too large, no JSON or of another form', async () => {
    for (const body of [
      JSON.stringify({ secret: 'x'.repeat(40_000) }),
      '{"secret": "',
      '[]',
      '{}',
      JSON.stringify({ secret: 1, more: 2 }),
    ]) {
      const { status, problem } = await post(body);
      assert.equal(status, 422);
      assert.equal(problem.code, 'ERR_REQUEST_INVALID');
      if (body.length > 32_768) assert.match(String(problem.title), /at most 32 kB/, 'it was not even parsed');
    }
  });

  it('lets an address ask only so often, and says when it may again', async () => {
    await world.close();
    await world.listen(0, { perMinute: 2 });
    await post('{}');
    await post('{}');
    const { status, retryAfter, problem } = await post('{}');
    assert.equal(status, 429);
    assert.equal(problem.code, 'ERR_TOO_MANY_REQUESTS');
    assert.ok(Number(retryAfter) >= 1 && Number(retryAfter) <= 60, `Retry-After: ${retryAfter}`);
  });
});
