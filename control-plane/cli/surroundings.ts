/** What the command line has of the world around it; main.ts gives the real one. */
import type { Clock, Random } from '../../shared/ports.ts';

export interface Surroundings {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly environment: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
  readonly clock: Clock;
  readonly random: Random;
  /** Called when a person presses Ctrl-C; the function returned stops listening. */
  onInterrupt(callback: () => void): () => void;
}
