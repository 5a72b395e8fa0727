/**
 * Speaks QMP (the QEMU Machine Protocol: JSON lines over a local socket) with one QEMU or qemu-storage-daemon. A socket serves one
 * client at a time. Everything that comes is limited; a program that hangs is told by the time limit of the call, and the
 * connection is over then, since what it would answer later belongs to nobody.
 */
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { type Clock, pause } from '../../../shared/ports.ts';
import { failed } from './qemu-error.ts';

export const ANSWER_MS = 30_000;
/** The longest known answer is the list of block nodes: some 2 kB a node. */
const LINE_BYTES_MOST = 4 * 1024 * 1024;
const CONNECT_EVERY_MS = 20;

/** Greetings and events have no id, and are left alone. */
const Message = z.looseObject({
  id: z.int().optional(),
  return: z.unknown().optional(),
  error: z.looseObject({ class: z.string(), desc: z.string() }).optional(),
});
type Message = z.infer<typeof Message>;

interface Waiting {
  resolve(value: unknown): void;
  reject(reason: unknown): void;
  cancelTimer(): void;
}

export class Qmp {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  #received = '';
  #nextId = 1;
  #end: Error | null = null;
  /** Called once, when the connection is over for whatever reason. */
  onClosed: () => void = () => {};

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /** Tries until something listens, for so long; then the capabilities are agreed. Throws ERR_FABRIC_FAILED. */
  static async open(path: string, clock: Clock, withinMs: number): Promise<Qmp> {
    const until = clock.now() + withinMs;
    for (;;) {
      const socket = await dial(path);
      if (!(socket instanceof Error)) return Qmp.#greet(socket, clock);
      if (clock.now() >= until) throw failed('OperationTimeout', `nothing answers at ${path}`, socket);
      await pause(clock, CONNECT_EVERY_MS);
    }
  }

  static async #greet(socket: Socket, clock: Clock): Promise<Qmp> {
    const qmp = new Qmp(socket, clock);
    socket.setEncoding('utf8').on('data', (text: string) => qmp.#take(text));
    socket.on('error', (error) => qmp.#close(error));
    socket.on('close', () => qmp.#close(new Error('the program closed the connection')));
    await qmp.run('qmp_capabilities');
    return qmp;
  }

  /** The `return` of the command. Throws ERR_FABRIC_FAILED with the text of QEMU, or when no answer comes in time. */
  run(command: string, args: object = {}, limitMs: number = ANSWER_MS): Promise<unknown> {
    if (this.#end !== null) return Promise.reject(failed('OperationFailed', `${command}: the connection is over`, this.#end));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.after(limitMs, () => this.#close(new Error(`${command} got no answer within ${limitMs} ms`)));
      this.#waiting.set(id, { resolve, reject: (cause) => reject(failed('OperationFailed', command, cause)), cancelTimer });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  close(): void {
    this.#close(new Error('closed by us'));
  }

  #take(text: string): void {
    this.#received += text;
    if (this.#received.length > LINE_BYTES_MOST) return this.#close(new Error(`a line of more than ${LINE_BYTES_MOST} bytes came`));
    const lines = this.#received.split('\n');
    this.#received = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') this.#read(line);
  }

  #read(line: string): void {
    let message: Message;
    try {
      message = Message.parse(JSON.parse(line));
    } catch (error) {
      return this.#close(error instanceof Error ? error : new Error('no QMP'));
    }
    const { id, error } = message;
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.cancelTimer();
    if (error === undefined) waiting.resolve(message.return);
    else waiting.reject(new Error(`${error.class}: ${error.desc}`));
  }

  #close(reason: Error): void {
    if (this.#end !== null) return;
    this.#end = reason;
    this.#socket.destroy();
    for (const { reject, cancelTimer } of this.#waiting.values()) {
      cancelTimer();
      reject(reason);
    }
    this.#waiting.clear();
    this.onClosed();
  }
}

function dial(path: string): Promise<Socket | Error> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.removeAllListeners();
      resolve(socket);
    });
    socket.once('error', resolve);
  });
}
