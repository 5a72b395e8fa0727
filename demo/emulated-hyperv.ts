/**
 * Emulated Hyper-V hosts of both sites, which the agents drive as they would drive real ones: through the product's module, in the real
 * PowerShell engine. The emulation is a part of the tests and runs as a program of its own (ADR 0032).
 */
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import type { Sites, Surroundings } from './demo-fabric.ts';

const PROCESS = 'the emulated Hyper-V';
const PROGRAM = path.resolve('test/support/emulated-hyperv/serve-sites.ts');
const REMEDY =
  'The PowerShell engine is built with the .NET SDK 10 and packages from NuGet: install it (https://dotnet.microsoft.com/download) on Linux or macOS and run the demo again, or leave --fabric out.';

/** `sender`: how its hosts are named where they may send replicas to. */
interface Ready {
  readonly sites: readonly { readonly name: string; readonly fabric: object; readonly sender: string }[];
}

export async function startEmulatedHyperV(surroundings: Surroundings): Promise<Sites> {
  const { folder, processes } = surroundings;
  const place = path.join(folder, 'hyper-v-hosts');
  const { ready, answer } = run(surroundings, place);
  const { sites: made } = await ready;
  return {
    configOf: ({ name }, siteIds) => ({
      ...made.find((site) => site.name === name)?.fabric,
      senders: made.filter((other) => other.name !== name).map((other) => ({ site: siteIds.get(other.name), hosts: [other.sender] })),
    }),
    async die({ name }) {
      const isOff = answer();
      processes.tell(PROCESS, name);
      await isOff;
      return 'its PowerShell, its hosts and its VMs';
    },
    faultsOf: ({ name }) => path.join(place, name.toLowerCase()),
  };
}

/** Starts the program. `answer`: the next line of JSON that it prints. */
function run({ sites, processes, onDied }: Surroundings, place: string): { ready: Promise<Ready>; answer(): Promise<unknown> } {
  const answers = new EventEmitter();
  const words: string[] = [];
  const answer = async () => (await once(answers, 'answer'))[0] as unknown;
  const ready = new Promise<Ready>((resolve, reject) => {
    answer().then((first) => {
      onEnd = onDied;
      resolve(first as Ready);
    }, reject);
    let onEnd = (why: string) => reject(new Error(`${why}: ${words.join(' ')}\n${REMEDY}`));
    const onLine = (line: string) => (line.startsWith('{') ? answers.emit('answer', JSON.parse(line)) : words.push(line));
    processes.start(PROCESS, PROGRAM, [place, ...sites.map(({ file }) => file)], onLine, (why) => onEnd(why));
  });
  return { ready, answer };
}
