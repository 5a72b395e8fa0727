/**
 * `tsc -b` into dist/, and dist/ without the outputs of sources that are gone: a test or a module that was deleted
 * must not run on.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from './refusal.mjs';

const sayAfterMs = 1_000;
/** What programs read beside themselves and the compiler does not know. */
const assets = ['provider-agent/fabric/hyperv/module', 'provider-agent/service/host'];

/** Compiles every project that tsconfig.json refers to; the compiler's own words go to the terminal. */
export async function build(root, node) {
  removeOrphans(root);
  const saying = setTimeout(() => process.stderr.write('building ...\n'), sayAfterMs);
  const { code, output } = await tsc(root, node).finally(() => clearTimeout(saying));
  if (output) process.stderr.write(output);
  if (code !== 0) throw new Refusal('the build failed: see the errors above');
  for (const folder of assets.filter((each) => existsSync(path.join(root, each))))
    cpSync(path.join(root, folder), path.join(root, 'dist', folder), { recursive: true });
}

/** A room that leans on a broken one is left out: its errors would only be echoes. */
function tsc(root, node) {
  const pretty = process.stderr.isTTY ? 'true' : 'false';
  return new Promise((resolve, reject) => {
    const compiler = spawn(node, [path.join(root, 'node_modules/typescript/bin/tsc'), '-b', '--stopBuildOnErrors', '--pretty', pretty], {
      cwd: root,
    });
    let output = '';
    for (const stream of [compiler.stdout, compiler.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    compiler.on('error', reject);
    compiler.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** dist/ mirrors the tree, so that each output names its source. */
function removeOrphans(root) {
  const dist = path.join(root, 'dist');
  if (!existsSync(dist)) return;
  const orphans = readdirSync(dist, { recursive: true })
    .filter((name) => /\.(js|js\.map|d\.ts)$/.test(name))
    .filter((name) => !existsSync(path.join(root, name.replace(/(\.js|\.js\.map|\.d\.ts)$/, '.ts'))));
  if (orphans.length === 0) return;
  for (const name of orphans) rmSync(path.join(dist, name), { force: true });
  // The compiler's notes of a whole project that is gone would keep its outputs out of the next build.
  for (const project of readdirSync(dist)) {
    if (!existsSync(path.join(root, project, 'tsconfig.json'))) rmSync(path.join(dist, project), { recursive: true, force: true });
  }
}
