/** What is behind the stub cmdlets: each call comes as one line, with the parameters that PowerShell bound, and the handler answers it. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface CmdletCall {
  readonly cmdlet: string;
  readonly parameterSet: string;
  /** As data: names of enum members, ISO times, objects of the model as `ModelReference`. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** An object that the model gave out, come back. */
export interface ModelReference {
  readonly $type: string;
  readonly $ref: unknown;
}

/**
 * An object of a type of the contract, by its full or its short name; `$ref` is whatever the model knows it by. With `$value`: one value
 * of an enum or of a type of .NET (`Guid`, `DateTime`) for a property whose type is not known.
 */
export interface ModelObject {
  readonly $type: string;
  readonly $ref?: unknown;
  readonly [property: string]: unknown;
}

export interface CmdletError {
  /** The part of FullyQualifiedErrorId before the comma; the class of the cmdlet comes by itself. */
  readonly id: string;
  /** A member of ErrorCategory. */
  readonly category: string;
  readonly message: string;
  /** The name of an exception of the modules, or the full name of one of .NET. */
  readonly exception?: string;
  readonly target?: unknown;
  readonly terminating?: boolean;
}

export interface CmdletAnswer {
  readonly objects?: readonly unknown[];
  readonly error?: CmdletError;
  readonly warning?: string;
}

export type CmdletHandler = (call: CmdletCall) => CmdletAnswer | Promise<CmdletAnswer>;

export interface ModelServer {
  /** For the environment of the PowerShell process. */
  readonly environment: { readonly FARSHORE_MODEL: string };
  close(): Promise<void>;
}

export async function startModelServer(handler: CmdletHandler): Promise<ModelServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    serve(socket, handler);
  });
  const pipe = pipeName();
  server.listen(pipe.path);
  await once(server, 'listening');
  return { environment: { FARSHORE_MODEL: pipe.name }, close: () => close(server, sockets, pipe.remove) };
}

/** .NET takes the bare name of a Windows pipe, and elsewhere the path of a socket. */
function pipeName(): { path: string; name: string; remove(): void } {
  if (process.platform === 'win32') {
    const name = `farshore-${randomUUID()}`;
    return { path: `\\\\.\\pipe\\${name}`, name, remove: () => {} };
  }
  const folder = mkdtempSync(join(tmpdir(), 'farshore-model-'));
  const path = join(folder, 'pipe');
  return { path, name: path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function serve(socket: Socket, handler: CmdletHandler): void {
  createInterface({ input: socket }).on('line', (line) => {
    answer(handler, JSON.parse(line) as CmdletCall).then(
      (made) => socket.write(`${JSON.stringify(made)}\n`),
      () => socket.destroy(),
    );
  });
}

/** A handler that throws is a mistake of the test; it is told where the cmdlet was called. */
async function answer(handler: CmdletHandler, call: CmdletCall): Promise<CmdletAnswer> {
  try {
    return await handler(call);
  } catch (thrown) {
    return { error: { id: 'ModelFailed', category: 'NotSpecified', message: String(thrown), terminating: true } };
  }
}

async function close(server: Server, sockets: Iterable<Socket>, remove: () => void): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  for (const socket of sockets) socket.destroy();
  await closed;
  remove();
}
