/** `npm run docs`: writes the generated documents anew. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { documents } from './documents.ts';

// Runs in the root of the project: with-setup.mjs sees to it.
for (const [name, make] of Object.entries(documents)) {
  mkdirSync(path.dirname(name), { recursive: true });
  writeFileSync(name, make());
  console.log(`wrote ${name}`);
}
