import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseProxy } from '../../provider-agent/channel/proxy-choice.ts';

const target = 'wss://control.hsp.example:8443/agent';
const HTTPS_PROXY = 'http://proxy:3128';

test('the proxy of the configuration counts before that of the environment', () => {
  assert.equal(chooseProxy(target, 'http://mine:1', { HTTPS_PROXY }), 'http://mine:1');
  assert.equal(chooseProxy(target, 'none', { HTTPS_PROXY }), null);
});

test('without one in the configuration the environment says, in either spelling', () => {
  assert.equal(chooseProxy(target, null, { HTTPS_PROXY }), HTTPS_PROXY);
  assert.equal(chooseProxy(target, null, { https_proxy: 'proxy:3128' }), HTTPS_PROXY);
  assert.equal(chooseProxy(target, null, { HTTPS_PROXY: '' }), null);
  assert.equal(chooseProxy(target, null, {}), null);
});

for (const [NO_PROXY, isDirect] of [
  ['*', true],
  ['control.hsp.example', true],
  ['.hsp.example', true],
  ['*.hsp.example', true],
  ['hsp.example', true],
  ['localhost, CONTROL.hsp.example', true],
  ['control.hsp.example:8443', true],
  ['control.hsp.example:443', false],
  ['sp.example', false],
  ['other.example', false],
] as const) {
  test(`NO_PROXY ${NO_PROXY} leaves the way to control.hsp.example:8443 ${isDirect ? 'direct' : 'through the proxy'}`, () => {
    assert.equal(chooseProxy(target, null, { HTTPS_PROXY, NO_PROXY }), isDirect ? null : HTTPS_PROXY);
  });
}
