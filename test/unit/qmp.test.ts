/** QMP with the other end as hostile as it can be: the caller always gets an answer or an error, and never the answer of another call. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Qmp } from '../../provider-agent/fabric/qemu/qmp.ts';
import { systemClock as clock } from '../../shared/system-ports.ts';

type Request = { execute: string; id: number };

describe('QMP', () => {
  let folder: string;
  let path: string;
  let server: Server | null = null;
  const sockets: Socket[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fm-'));
    path = process.platform === 'win32' ? `\\\\.\\pipe\\${folder.replaceAll(/[\\/:]/g, '-')}` : join(folder, 'qmp');
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise((resolve) => (server === null ? resolve(null) : server.close(resolve)));
    server = null;
    rmSync(folder, { recursive: true });
  });

  /** Answers the capabilities as QEMU does, and all else as told. */
  async function serve(answer: (request: Request, socket: Socket) => void): Promise<void> {
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write('{"QMP": {"version": {}, "capabilities": []}}\r\n');
      socket.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.split('\n').filter((one) => one !== '')) {
          const request = JSON.parse(line) as Request;
          if (request.execute === 'qmp_capabilities') socket.write(`{"return": {}, "id": ${request.id}}\r\n`);
          else answer(request, socket);
        }
      });
    });
    await new Promise<void>((resolve) => server?.listen(path, resolve));
  }
  const open = () => Qmp.open(path, clock, 2_000);

  it('gives each call its own answer, in whatever order and pieces they come', async () => {
    const asked: number[] = [];
    await serve(({ id }, socket) => {
      asked.push(id);
      if (asked.length < 2) return;
      const text = asked
        .toReversed()
        .map((one) => `{"timestamp": {}, "event": "STOP"}\n{"return": ${one}, "id": ${one}}\n`)
        .join('');
      for (const piece of [text.slice(0, 7), text.slice(7, 60), text.slice(60)]) socket.write(piece);
    });
    const qmp = await open();
    const answers = await Promise.all([qmp.run('first'), qmp.run('second')]);
    assert.deepEqual(answers, asked);
    qmp.close();
  });

  it('tells the error of the program in its words, and goes on', async () => {
    await serve(({ execute, id }, socket) =>
      socket.write(
        execute === 'bad' ? `{"error": {"class": "GenericError", "desc": "no such node"}, "id": ${id}}\n` : `{"return": 1, "id": ${id}}\n`,
      ),
    );
    const qmp = await open();
    await assert.rejects(qmp.run('bad'), { code: 'ERR_FABRIC_FAILED', message: 'bad: GenericError: no such node' });
    assert.equal(await qmp.run('good'), 1);
    qmp.close();
  });

  const ends: readonly [string, (socket: Socket) => void, RegExp][] = [
    ['garbage', (socket) => socket.write('this is no JSON\n'), /no JSON|JSON/],
    ['a line without an end', (socket) => socket.write('x'.repeat(5 * 1024 * 1024)), /more than/],
    ['the end of the program', (socket) => socket.destroy(), /closed the connection/],
  ];
  for (const [what, hurt, words] of ends) {
    it(`${what} ends every call that waits, and every later one`, async () => {
      await serve((_request, socket) => hurt(socket));
      const qmp = await open();
      await assert.rejects(qmp.run('query-status'), words);
      await assert.rejects(qmp.run('query-status'), /the connection is over/);
    });
  }

  it('a program that hangs is told by the limit of the call', async () => {
    await serve(() => {});
    const qmp = await open();
    await assert.rejects(qmp.run('query-status', {}, 50), /no answer within 50 ms/);
  });

  it('nothing listens: told after the time that was given', async () => {
    await assert.rejects(Qmp.open(path, clock, 50), { code: 'ERR_FABRIC_FAILED', message: /nothing answers/ });
  });
});
