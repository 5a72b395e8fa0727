/** What a script holds, as the parser and the static binder of the engine tell it (test/powershell-host/host/Inspection.cs). */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { BuiltHost } from '../build.ts';

export interface Place {
  readonly line: number;
  readonly from: number;
  readonly to: number;
}

export type Value = Place &
  (
    | { readonly kind: 'constant'; readonly value: string | number | boolean | null }
    | { readonly kind: 'list'; readonly items: readonly Value[] }
    | { readonly kind: 'block' | 'other' }
  );

/** `sure`: a key of the one literal table; `key`: one that is set on some way; `unknown`: the table comes from elsewhere. */
export type TableSource =
  | (Place & { readonly kind: 'sure' | 'key'; readonly name: string; readonly value?: Value })
  | { readonly kind: 'unknown' };

export type CommandElement = Place &
  (
    | { readonly kind: 'parameter'; readonly name: string; readonly value: Value | null }
    | { readonly kind: 'argument'; readonly value: Value }
    | { readonly kind: 'splat'; readonly name: string; readonly sources: readonly TableSource[] }
  );

export interface CommandFacts extends Place {
  /** Nothing where it is not written out. */
  readonly name: string | null;
  readonly text: string;
  readonly nameTo: number;
  readonly isCalled: boolean;
  readonly isBlock: boolean;
  readonly hasInput: boolean;
  readonly function: string | null;
  readonly elements: readonly CommandElement[];
  readonly problems: readonly { readonly id: string; readonly message: string }[];
}

export interface FunctionFacts extends Place {
  readonly name: string;
  readonly parameters: readonly (Place & {
    readonly name: string;
    readonly type: string;
    readonly isMandatory: boolean;
    readonly values: readonly string[] | null;
  })[];
  readonly synopsis: string | null;
  readonly described: readonly string[];
}

export interface FileFacts {
  readonly path: string;
  readonly errors: readonly (Place & { readonly message: string })[];
  readonly syntax: readonly (Place & { readonly text: string })[];
  readonly types: readonly (Place & { readonly name: string; readonly isKnown: boolean; readonly isOld: boolean })[];
  readonly members: readonly (Place & {
    readonly name: string | null;
    readonly type: string | null;
    readonly isCall: boolean;
    readonly isOld: boolean;
  })[];
  readonly functions: readonly FunctionFacts[];
  readonly commands: readonly CommandFacts[];
}

/** One process of the engine that looks at any number of texts, one after the other. */
export class Inspector {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  readonly #waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  #errors = '';
  /** Approved verbs of Windows PowerShell 5.1. */
  verbs: readonly string[] = [];

  private constructor(built: BuiltHost, modules: readonly string[]) {
    const references = join(dirname(built.host), 'references.txt');
    this.#child = spawn('dotnet', [built.host, 'inspect', references, ...modules], {
      env: { ...process.env, PSModulePath: [built.modules, built.ownModules].join(process.platform === 'win32' ? ';' : ':') },
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    this.#child.on('close', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the inspector has ended: ${this.#errors}`));
    });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on('line', (line) => this.#waiting.shift()?.resolve(line));
  }

  static async start(built: BuiltHost, modules: readonly string[]): Promise<Inspector> {
    const inspector = new Inspector(built, modules);
    inspector.verbs = (JSON.parse(await inspector.#next()) as { verbs: string[] }).verbs;
    return inspector;
  }

  async look(path: string, text: string): Promise<FileFacts> {
    const answer = this.#next();
    this.#child.stdin.write(`${JSON.stringify({ path, text })}\n`);
    return { path, ...(JSON.parse(await answer) as Omit<FileFacts, 'path'>) };
  }

  end(): void {
    this.#lines.close();
    this.#child.stdin.end();
  }

  #next(): Promise<string> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}
