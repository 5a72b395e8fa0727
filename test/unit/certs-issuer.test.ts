/** The issuer key at the control plane and the pinned keys at the agent: together they carry the signed envelope. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { IssuerKey, makeIssuerKey } from '../../control-plane/channel/issuer.ts';
import { IssuerKeys } from '../../provider-agent/enroll/issuer-keys.ts';
import { AgentId, CommandId, JobId, PairingId, StepId, VaultId } from '../../shared/ids.ts';
import { type Envelope, openEnvelope, sealEnvelope } from '../../shared/protocol/envelope.ts';
import { systemRandom } from '../../shared/system-ports.ts';

const issuer = new IssuerKey(makeIssuerKey());
const stranger = new IssuerKey(makeIssuerKey());
const envelope: Envelope = {
  commandId: CommandId.parse('job/prepare/1'),
  agentId: AgentId.parse(systemRandom.uuid()),
  vaultId: VaultId.parse(systemRandom.uuid()),
  jobId: JobId.parse(systemRandom.uuid()),
  stepId: StepId.parse('prepare'),
  epoch: 0,
  sequence: 1,
  deadline: 1,
  command: { kind: 'hosts.requestAuthority', args: { pairingId: PairingId.parse(systemRandom.uuid()) } },
};
const expected = { agentId: envelope.agentId, vaultId: envelope.vaultId, lastSequence: 0 };

describe('an issuer key', () => {
  it('signs envelopes that an agent which pinned it opens', () => {
    const pinned = new IssuerKeys([stranger.publicPem, issuer.publicPem]);
    assert.deepEqual(openEnvelope(sealEnvelope(envelope, issuer), pinned, expected), envelope);
  });

  it('signs nothing for an agent that pinned another, even under its name', () => {
    const pinned = new IssuerKeys([issuer.publicPem]);
    const signed = sealEnvelope(envelope, stranger);
    assert.throws(() => openEnvelope(signed, pinned, expected), { code: 'ERR_ENVELOPE_FORGED' });
    assert.throws(() => openEnvelope({ ...signed, issuer: issuer.issuer }, pinned, expected), { code: 'ERR_ENVELOPE_FORGED' });
  });

  it('covers every byte of the body', () => {
    const signed = sealEnvelope(envelope, issuer);
    const forged = { ...signed, body: signed.body.replace('"sequence":1', '"sequence":2') };
    assert.notEqual(forged.body, signed.body);
    assert.throws(() => openEnvelope(forged, new IssuerKeys([issuer.publicPem]), expected), { code: 'ERR_ENVELOPE_FORGED' });
  });

  it('is an Ed25519 key and no other', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    assert.throws(() => new IssuerKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()), TypeError);
    assert.throws(() => new IssuerKeys([publicKey.export({ type: 'spki', format: 'pem' }).toString()]), TypeError);
  });
});
