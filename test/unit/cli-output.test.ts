/** What the command line prints cannot be steered by whoever names a VM. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jsonText, Output, plain } from '../../control-plane/cli/output.ts';
import type { Surroundings } from '../../control-plane/cli/surroundings.ts';
import { decodeText } from '../../shared/decode-text.ts';
import { FarshoreError } from '../../shared/errors.ts';

const EVIL = 'web\x1b[2J\x9b31m\u202e01\n  all is well';

/** What an error leaves on standard error. */
function printed(error: FarshoreError, isJson: boolean): string {
  let text = '';
  const stream = { write: (some: string) => (text += some), isTTY: true };
  const surroundings = { stdout: stream, stderr: stream, environment: {} } as unknown as Surroundings;
  new Output(surroundings, isJson).error(error);
  return text.replaceAll('\x1b[31m', '').replaceAll('\x1b[39m', '');
}

/** Anything that a terminal obeys, but a new line. */
const steering = /[^\P{Cc}\n]|\p{Bidi_Control}/u;

describe('what the command line prints', () => {
  const error = new FarshoreError('ERR_VM_BUSY', `no: ${EVIL}`, { problems: [{ field: EVIL, message: EVIL, allowed: EVIL }] });

  it('shows an error that quotes the name of a VM without obeying the name', () => {
    const text = printed(error, false);
    assert.match(text, /web\?\[2J\?31m\?01\? {2}all is well/);
    assert.doesNotMatch(text, steering);
    assert.equal(text.split('\n').length, 5, 'the name makes no line of its own');
  });

  it('escapes in JSON what JSON lets stand, and keeps its value', () => {
    assert.doesNotMatch(printed(error, true), steering);
    assert.deepEqual(JSON.parse(jsonText({ name: EVIL }, 2)), { name: EVIL });
    assert.equal(jsonText({ name: '\x9b' }), '{"name":"\\u009b"}');
  });

  it('takes every mark that turns the direction of writing out of a name', () => {
    assert.equal(plain('a\u061cb\u2066c\u2028d'), 'a?b?c?d');
  });
});

describe('a file that a person brought', () => {
  it('is read as Windows PowerShell writes it, and as UTF-8 with a mark or without', () => {
    const utf16 = Buffer.from('\ufeffname: Köln\r\n', 'utf16le');
    assert.equal(decodeText(utf16), 'name: Köln\r\n');
    assert.equal(decodeText(Buffer.from(utf16).swap16()), 'name: Köln\r\n');
    assert.equal(decodeText(Buffer.from('\ufeffname: Köln')), 'name: Köln');
    assert.equal(decodeText(Buffer.from('name: Köln')), 'name: Köln');
  });
});
