/**
 * Plants the bug that FARSHORE_PLANT names, while its files are loaded: `node --import .../planted-register.ts ...`. The text
 * to be replaced must be there exactly once, and must have been met by the end: a bug that went stale fails loudly.
 */
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { plantedBugs } from './planted-bugs.ts';

const STALE = 97;
const name = process.env.FARSHORE_PLANT ?? '';

if (name !== '') {
  const bug = plantedBugs.find((candidate) => candidate.name === name);
  if (bug === undefined) stop(`there is no planted bug called ${name}`);
  const root = join(import.meta.dirname, '../..');
  const left = new Set(bug.edits);
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      let source = loaded.source;
      for (const edit of bug.edits) {
        if (url !== pathToFileURL(join(root, edit.file)).href) continue;
        const text = typeof source === 'string' ? source : new TextDecoder().decode(source as Uint8Array);
        const places = text.split(edit.from).length - 1;
        if (places !== 1) stop(`the planted bug ${name} is stale: its text is ${places} times in ${edit.file}`);
        source = text.replace(edit.from, () => edit.to);
        left.delete(edit);
      }
      return { ...loaded, source };
    },
  });
  process.once('exit', () => {
    if (left.size === 0) return;
    process.stderr.write(`the planted bug ${name} was never loaded: ${[...left].map(({ file }) => file).join(', ')}\n`);
    process.exitCode = STALE;
  });
}

function stop(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(STALE);
}
