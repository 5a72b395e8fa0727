/** What a YAML parser complains of, in words for whoever wrote the document: what is wrong, and what is allowed. */
import type { Problem } from './errors.ts';

type Told = Required<Pick<Problem, 'message' | 'allowed'>>;

export const noAnchors: Told = { message: 'anchors and aliases are not taken', allowed: 'the value itself, written out' };
const noTags: Told = { message: 'has a tag, a word that begins with !', allowed: 'the value without a tag' };
const MAY_BE_ABOVE = 'YAML 1.2; what is wrong may stand in the line before it';
const unreadable: Told = { message: 'cannot be read here', allowed: MAY_BE_ABOVE };
const oneField = (message: string): Told => ({
  message,
  allowed:
    "in each line a name, a colon, a space and a value, fields side by side with the same indentation; in quotes a text with ': ' in it",
});

const byCode: Readonly<Record<string, Told>> = {
  TAB_AS_INDENT: { message: 'is indented with a tab', allowed: 'spaces' },
  BAD_INDENT: { message: 'does not stand below what it belongs to', allowed: 'the same indentation for what stands side by side' },
  MULTIPLE_DOCS: { message: 'a second document begins here', allowed: 'one document in a file' },
  BAD_SCALAR_START: { message: 'a text begins with a sign that means something else here', allowed: 'the text in quotes' },
  BAD_DQ_ESCAPE: {
    message: 'a backslash in double quotes is followed by what it does not go with',
    allowed: 'the text in single quotes, or two backslashes for one',
  },
  BLOCK_AS_IMPLICIT_KEY: oneField('a field begins within another one'),
  BLOCK_IN_FLOW: { message: 'an indented part stands within brackets', allowed: 'brackets and commas all through, or none' },
  MULTILINE_IMPLICIT_KEY: oneField('a line has no colon'),
  KEY_OVER_1024_CHARS: { message: 'the name of a field is too long', allowed: 'at most 1024 characters' },
  NON_STRING_KEY: { message: 'the name of a field is no text', allowed: 'a text' },
  BAD_DIRECTIVE: { message: 'a line begins with %', allowed: 'the text in quotes' },
  MISSING_CHAR: { message: 'a sign is missing here', allowed: MAY_BE_ABOVE },
  UNEXPECTED_TOKEN: { message: 'does not belong here', allowed: MAY_BE_ABOVE },
  ALIAS_PROPS: noAnchors,
  BAD_ALIAS: noAnchors,
  MULTIPLE_ANCHORS: noAnchors,
  BAD_PROP_ORDER: noAnchors,
  MULTIPLE_TAGS: noTags,
  TAG_RESOLVE_FAILED: noTags,
  BAD_COLLECTION_TYPE: noTags,
  DUPLICATE_KEY: { message: 'the field is given twice', allowed: 'each field once' },
  RESOURCE_EXHAUSTION: { message: 'is nested too deeply', allowed: 'fewer levels' },
  IMPOSSIBLE: unreadable,
};

/** Where one code stands for several mistakes, the parser's words tell which it is. */
const byWords: readonly (readonly [RegExp, (found: RegExpMatchArray) => Told])[] = [
  [/closing (["'])/, ([, quote]) => ({ message: 'a text in quotes has no end', allowed: `${quote} at its end` })],
  [
    /(?:end with a|Expected .* to end with) (.)/,
    ([, end]) => ({ message: 'a list or object in brackets has no end', allowed: `${end} at its end` }),
  ],
  [/^Implicit map keys need to be followed/, () => oneField('a line has no colon')],
  [
    /^Unexpected block-seq-ind on same line/,
    () => ({ message: 'a list begins on the line of its field', allowed: 'the list in the lines below it' }),
  ],
  [/^Unexpected .* token in YAML stream: (".{1,40}")/, ([, sign]) => ({ allowed: MAY_BE_ABOVE, message: `${sign} does not belong here` })],
  [/^Missing space after :/, () => ({ message: 'a space is missing', allowed: 'a space after the colon' })],
  [/^Comments must be separated/, () => ({ message: 'a space is missing', allowed: 'a space before #' })],
  [/^Missing ,/, () => ({ message: 'a comma is missing', allowed: 'a comma between two entries' })],
  [/^Unexpected (?:,|empty item)/, () => ({ message: 'a comma stands after nothing', allowed: 'a comma between two entries' })],
  [
    /^Sequence item without -/,
    () => ({ message: 'an entry of a list has no dash', allowed: "a dash and a space before each entry: '- web-01'" }),
  ],
  [/^Plain value cannot start with .*?(\S)$/, ([, sign]) => ({ message: `a text begins with ${sign}`, allowed: 'the text in quotes' })],
];

/** `code` and `message` are the parser's. */
export function yamlMistake({ code, message }: { readonly code: string; readonly message: string }): Told {
  for (const [words, told] of byWords) {
    const found = words.exec(message);
    if (found !== null) return told(found);
  }
  return byCode[code] ?? unreadable;
}
