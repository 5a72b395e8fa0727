/**
 * Reads a document that a person wrote (site file, recovery plan): YAML checked by a strict schema.
 * All mistakes are told at once, each with file, line, column, field, what is wrong and what is allowed.
 * Anchors, aliases and tags are refused: each value stands where it is used, so a line number is always the right one.
 */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
  stringify,
  visit,
} from 'yaml';
import type { z } from 'zod';
import { type FieldPath, fieldText, type Mistake, mistakesOf } from './document-mistakes.ts';
import { FarshoreError, type Problem } from './errors.ts';
import { noAnchors, yamlMistake } from './yaml-mistakes.ts';

export interface ReadOptions {
  /** Longer documents are refused unread; in UTF-16 code units, default 1 Mi. */
  maxLength?: number;
}

const DEFAULT_MAX_LENGTH = 1024 * 1024;
/** Deeper nesting is no plan and no site, and would cost a parser its stack. */
const MAX_DEPTH = 40;
/** Past this many nobody reads on. */
const MAX_PROBLEMS = 200;
/** Finding where a mistake stands costs time in proportion to the map it is in. */
const MAX_LOCATED = 1_000;

/** The document as `schema` gives it. Throws FarshoreError ERR_DOCUMENT_INVALID with `problems` in the order of the lines. */
export function readDocument<S extends z.ZodType>(text: string, fileName: string, schema: S, options: ReadOptions = {}): z.infer<S> {
  const maxLength = options.maxLength ?? DEFAULT_MAX_LENGTH;
  if (text.length > maxLength) {
    throw invalid(fileName, [{ file: fileName, line: 1, column: 1, message: 'is too large', allowed: `at most ${maxLength} characters` }]);
  }
  const depth = deepest(text);
  if (depth > MAX_DEPTH) {
    throw invalid(fileName, [
      { file: fileName, line: 1, column: 1, message: 'is nested too deeply', allowed: `at most ${MAX_DEPTH} levels` },
    ]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, version: '1.2', logLevel: 'error' });
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };

  const syntax = syntaxProblems(document, fileName, at);
  if (document.errors.length > 0) throw invalid(fileName, syntax);
  emptyAliases(document);

  const raw: unknown = document.toJS({ maxAliasCount: 0 });
  const parsed = schema.safeParse(raw);
  if (parsed.success && syntax.length === 0) return parsed.data;
  const mistakes = parsed.success ? [] : mistakesOf(parsed.error.issues, raw, schema);
  const told = new Set(syntax.map(({ line, column }) => `${line}:${column}`));
  const problems = mistakes
    .slice(0, MAX_LOCATED)
    .map((mistake) => located(mistake, document, fileName, at))
    // Of what stands for an alias it is told that it is one.
    .filter(({ line, column }) => !told.has(`${line}:${column}`));
  throw invalid(fileName, [...syntax, ...problems], syntax.length + problems.length + Math.max(0, mistakes.length - MAX_LOCATED));
}

/** So that the rest is read, and no alias is ever followed. */
function emptyAliases(document: Document.Parsed): void {
  visit(document, {
    Alias(_key, { range }) {
      const empty = new Scalar(null);
      if (range) empty.range = range;
      return empty;
    },
  });
}

/** The document as YAML that `readDocument` takes. */
export function writeDocument(document: unknown): string {
  return stringify(document, { lineWidth: 120, aliasDuplicateObjects: false });
}

/** One line a problem: `file:line:column  field  message (allowed: ...)`, with what is known of it. An error without problems gives its message. */
export function formatProblems(error: FarshoreError): string {
  if (error.problems.length === 0) return error.message;
  return error.problems
    .map(({ file, line, column, field, message, allowed }) => {
      const place = [file ?? (line === undefined ? undefined : 'document'), line, column].filter((part) => part !== undefined).join(':');
      const told = allowed === undefined ? message : `${message} (allowed: ${allowed})`;
      return [place, field, told].filter((part) => part !== undefined && part !== '').join('  ');
    })
    .join('\n');
}

function invalid(fileName: string, problems: readonly Problem[], found = problems.length): FarshoreError {
  const sorted = problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)).slice(0, MAX_PROBLEMS);
  const count = found === 1 ? 'one mistake' : `${found} mistakes`;
  return new FarshoreError('ERR_DOCUMENT_INVALID', `${fileName} has ${count}; nothing of it was used`, { problems: sorted });
}

type Locate = (offset: number) => { line: number; column: number };

function syntaxProblems(document: Document.Parsed, file: string, at: Locate): Problem[] {
  const problems: Problem[] = [...document.errors, ...document.warnings].map((error) => ({
    file,
    ...at(error.pos[0]),
    ...yamlMistake(error),
  }));
  visit(document, {
    // Not by the parser, which compares every key with every other: a long map would keep the program for a minute.
    Map(_key, { items }) {
      const seen = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name))
          problems.push({ file, ...at(key.range?.[0] ?? 0), message: 'the field is given twice', allowed: 'each field once' });
        seen.add(name);
      }
    },
    Node(_key, node) {
      if (!isAlias(node) && !('anchor' in node && node.anchor)) return;
      problems.push({
        file,
        ...at(node.range?.[0] ?? 0),
        ...noAnchors,
      });
    },
  });
  return problems;
}

function located(mistake: Mistake, document: Document.Parsed, file: string, at: Locate): Problem {
  const offset = offsetOf(document, mistake.path, mistake.isAboutKey);
  return {
    file,
    ...at(offset),
    field: fieldText(mistake.path),
    message: mistake.message,
    ...(mistake.allowed === undefined ? {} : { allowed: mistake.allowed }),
  };
}

/** Where a field stands: its value, or its key; of a field that is missing, the place that should hold it. */
function offsetOf(document: Document.Parsed, path: FieldPath, isAboutKey: boolean): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, part] of path.entries()) {
    if (!isCollection(node)) return offset;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(part));
      if (!isPair(pair)) return offset;
      const key = startOf(pair.key);
      offset = (index === path.length - 1 && isAboutKey ? key : (startOf(pair.value) ?? key)) ?? offset;
      node = pair.value;
    } else {
      node = node.items[Number(part)];
      offset = startOf(node) ?? offset;
    }
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined;
}

/** An upper bound of the nesting, by brackets and indentation, told before the parser recurses into it. */
function deepest(text: string): number {
  let open = 0;
  let most = 0;
  for (const char of text) {
    if (char === '[' || char === '{') most = Math.max(most, ++open);
    else if (char === ']' || char === '}') open = Math.max(0, open - 1);
  }
  const dashes = text.match(/^(?:[ ]*(?:- |\? |: )){20,}/m);
  return Math.max(most, dashes ? (dashes[0].match(/[-?:]/g) ?? []).length : 0);
}
