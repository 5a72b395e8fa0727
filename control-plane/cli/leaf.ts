/** One command of the tree: its help with examples, --json, and how it is run. Errors and exit codes are settled in one place. */
import type { Command } from 'commander';
import { toFarshoreError } from '../../shared/errors.ts';
import { EXIT, exitCodeOfError } from './exit-codes.ts';
import { Output } from './output.ts';
import { makeSession, type Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';

export interface Tree {
  readonly surroundings: Surroundings;
  readonly setExitCode: (code: number) => void;
}

export interface Leaf<Options, Arguments extends readonly unknown[]> {
  /** Name and arguments, as commander takes them. */
  readonly usage: string;
  readonly about: string;
  readonly examples: readonly string[];
  readonly configure?: (command: Command) => Command;
  /** Answers the exit code where it is not 0. */
  readonly run: (session: Session, options: Options, ...args: Arguments) => Promise<number | undefined>;
}

export function addLeaf<Options, Arguments extends readonly unknown[]>(
  tree: Tree,
  parent: Command,
  leaf: Leaf<Options, Arguments>,
): Command {
  const command = parent.command(leaf.usage).description(leaf.about).option('--json', 'answer as JSON', false);
  leaf.configure?.(command);
  command.addHelpText('after', `\nExamples:\n${leaf.examples.map((example) => `  ${example}`).join('\n')}`);
  return command.action(async (...given: unknown[]) => {
    const args = given.slice(0, command.registeredArguments.length) as unknown as Arguments;
    const options = command.opts() as Options & { json: boolean };
    const output = new Output(tree.surroundings, options.json);
    try {
      tree.setExitCode((await leaf.run(makeSession(tree.surroundings, output), options, ...args)) ?? EXIT.ok);
    } catch (thrown) {
      const error = toFarshoreError(thrown);
      output.error(error);
      if (error.code === 'ERR_INTERNAL' && error.cause instanceof Error) output.note(error.cause.stack ?? error.cause.message);
      tree.setExitCode(exitCodeOfError(error.code));
    }
  });
}
