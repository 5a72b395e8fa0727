/**
 * The rules of the house as functions over a tree of sources (path -> text): each returns its breaches in words.
 * They read text, not syntax, so that they stay short; imports.test.ts applies them to the real tree and shows on
 * small made-up trees that each can fail.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export type Tree = ReadonlyMap<string, string>;

interface Import {
  /** A path inside the tree for relative imports, else the specifier as written. */
  to: string;
  specifier: string;
  isTypeOnly: boolean;
}

const tops = ['shared', 'certs', 'provider-agent', 'control-plane', 'test', 'demo', 'scripts'];
const sourceName = /\.(ts|tsx|mjs)$/;

export function readTree(root: string): Tree {
  const tree = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const name = path.posix.join(folder, entry.name);
      if (entry.isDirectory()) walk(name);
      else if (sourceName.test(name)) tree.set(name, readFileSync(path.join(root, name), 'utf8'));
    }
  };
  const present = new Set(readdirSync(root));
  for (const top of tops.filter((name) => present.has(name))) walk(top);
  return tree;
}

const staticImport = /^[ \t]*(?:import|export)\s+(type\s+)?(?:[^'"`;=()]*?\sfrom\s*)?['"]([^'"]+)['"]/gm;
const dynamicImport = /\bimport\(\s*(?:['"`]([^'"`$]+)['"`])?/g;

export function importsOf(file: string, text: string): Import[] {
  const code = withoutComments(text);
  const found = [
    ...[...code.matchAll(staticImport)].map(([, type, specifier = '']) => ({ specifier, isTypeOnly: type !== undefined })),
    ...[...code.matchAll(dynamicImport)]
      .filter((match) => !isInString(code, match.index))
      .map(([, specifier = '(computed)']) => ({ specifier, isTypeOnly: false })),
  ];
  return found.map(({ specifier, isTypeOnly }) => {
    const to = specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
    return { to, specifier, isTypeOnly };
  });
}

/** An odd number of quotation marks before it on its line. */
function isInString(code: string, index: number): boolean {
  const before = code.slice(code.lastIndexOf('\n', index) + 1, index);
  return ["'", '"', '`'].some((mark) => before.split(mark).length % 2 === 0);
}

/** Comment lines and block comments; a `//` after code stays, since it may stand in a string. */
function withoutComments(text: string): string {
  return text.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, '').replace(/^[ \t]*\/\/.*$/gm, '');
}

/** Relative imports name a file that is there, with its ending. */
export function wrongEndings(tree: Tree): string[] {
  return breaches(tree, (file, text) =>
    importsOf(file, text)
      .filter(({ specifier }) => specifier.startsWith('.'))
      .filter(({ to }) => !tree.has(to) && !to.endsWith('.json'))
      .map(({ specifier }) => `${file}: '${specifier}' names no source file; imports end in .ts`),
  );
}

export function importCycles(tree: Tree): string[] {
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    if (start >= 0) found.add(inFixedOrder(way.slice(start)).join(' -> '));
    if (start >= 0 || done.has(file)) return;
    for (const { to } of importsOf(file, tree.get(file) ?? '')) if (tree.has(to)) visit(to, [...way, file]);
    done.add(file);
  };
  for (const file of tree.keys()) visit(file, []);
  return [...found];
}

function inFixedOrder(cycle: readonly string[]): string[] {
  const first = cycle.indexOf([...cycle].sort()[0] ?? '');
  return [...cycle.slice(first), ...cycle.slice(0, first), cycle[first] ?? ''];
}

/** No file exists to pass on what others export. */
export function barrels(tree: Tree): string[] {
  return breaches(tree, (file, text) => {
    const code = withoutComments(text);
    const passesOn = /^export\s+(type\s+)?(\*|\{[^}]*\})[^;]*?\sfrom\s/m.test(code);
    const hasOwn =
      /^(export\s+)?(default\s+)?(async\s+)?(abstract\s+)?(const|function|class|interface|let)\s|^export\s+type\s+\w|^type\s/m.test(code);
    if (/^export\s+(type\s+)?\*/m.test(code)) return [`${file}: export * makes a barrel`];
    if (passesOn && (!hasOwn || /(^|\/)index\.\w+$/.test(file))) return [`${file}: a barrel; import from where things are`];
    return [];
  });
}

const constantValues = /^(RegExp|URL|TextEncoder|TextDecoder|Intl\.\w+|Uint8Array)$/;

/** Nothing of a module lives on between its callers. main.ts composes, and may hold what it composed. */
export function singletons(tree: Tree): string[] {
  const rooms = ['shared/', 'certs/', 'provider-agent/', 'control-plane/'];
  return breaches(tree, (file, text) => {
    if (!rooms.some((room) => file.startsWith(room)) || path.posix.basename(file) === 'main.ts') return [];
    return withoutComments(text)
      .split('\n')
      .filter((line) => {
        if (/^(export\s+)?(let|var)\s/.test(line)) return true;
        if (/^(export\s+)?const\s[^=]*=\s*(\[\]|\{\})(\s+as\s.*)?;?\s*$/.test(line)) return true;
        const [, made, argument] = /^(?:export\s+)?const\s[^=]*=\s*(?:await\s+)?new\s+([\w.]+)(?:<.*>)?\((.?)/.exec(line) ?? [];
        if (made === undefined || constantValues.test(made)) return false;
        // A set or map made from a list is a table; an empty one is there to be filled.
        return !((made === 'Set' || made === 'Map') && argument !== ')');
      })
      .map((line) => `${file}: lives on in its module: ${line.slice(0, 80)}`);
  });
}

export const mostLines = 400;

export function tooLong(tree: Tree): string[] {
  return breaches(tree, (file, text) => {
    const lines = text.split('\n').length - 1;
    return lines > mostLines ? [`${file}: ${lines} lines; ${mostLines} at most`] : [];
  });
}

// In parts, so that this file keeps the rule that it states.
const later = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);

export function leftForLater(tree: Tree): string[] {
  return breaches(tree, (file, text) =>
    text
      .split('\n')
      .filter((line) => later.test(line) || /^\s*(test|it|describe|suite)\.(only|todo)\(/.test(line))
      .map((line) => `${file}: left for later: ${line.trim().slice(0, 80)}`),
  );
}

const emptyNames = /(^|[/-])(utils?|helpers?|manager|impl|misc|common|types|index)\.\w+$/;

/** Kebab-case, named by the thing inside. */
export function wrongNames(tree: Tree): string[] {
  return breaches(tree, (file) => {
    if (emptyNames.test(file)) return [`${file}: the name says nothing`];
    const base = path.posix.basename(file).replace(sourceName, '');
    return /^[a-z0-9]+([-.][a-z0-9]+)*$/.test(base) ? [] : [`${file}: not in kebab-case`];
  });
}

function breaches(tree: Tree, of: (file: string, text: string) => string[]): string[] {
  return [...tree].flatMap(([file, text]) => of(file, text));
}
