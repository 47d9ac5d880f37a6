// The YAML of resource files as daprd reads it: YAML 1.1 scalars by Go's rules, several documents in one file.
import { parseDocument, type ScalarTag } from 'yaml';

/** A document that is not YAML; the message says what and in which line of the file. */
export class YamlError extends Error {
  override name = 'YamlError';
}

/** One document of a file. `line` is where it starts, from 1. */
export interface Chunk {
  text: string;
  line: number;
}

/**
 * The documents of a file: split at each line break followed by `---`; the rest of that line is dropped.
 * Unlike upstream's scanner there is no limit of 64 KiB, and a separator at the very end needs no line break.
 */
export function splitDocuments(file: string): Chunk[] {
  const text = file.replace(/\r\n?/g, '\n');
  const chunks: Chunk[] = [];
  let line = 1;
  let from = 0;
  for (;;) {
    const at = text.indexOf('\n---', from);
    chunks.push({ text: at < 0 ? text.slice(from) : text.slice(from, at), line });
    if (at < 0) return chunks;
    const end = text.indexOf('\n', at + 1);
    if (end < 0) return chunks;
    for (let i = text.indexOf('\n', from); i >= 0 && i <= end; i = text.indexOf('\n', i + 1)) line++;
    from = end + 1;
  }
}

const goInteger = /^[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$/;
const goFloat = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const words: Record<string, boolean> = {
  y: true, Y: true, yes: true, Yes: true, YES: true, true: true, True: true, TRUE: true, on: true, On: true, ON: true,
  n: false, N: false, no: false, No: false, NO: false, false: false, False: false, FALSE: false, off: false, Off: false, OFF: false,
};

function integerOf(plain: string): bigint {
  const negative = plain.startsWith('-');
  const digits = plain.replace(/^[-+]/, '');
  const value = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits.toLowerCase());
  return negative ? -value : value;
}
const tag = (name: string, test: RegExp, resolve: ScalarTag['resolve']): ScalarTag => ({ tag: `tag:yaml.org,2002:${name}`, default: true, test, resolve });

/** Where Go's resolver and the `yaml` package's own YAML 1.1 schema differ (base 60, octal, `y`), Go's counts. */
const goScalars: ScalarTag[] = [
  tag('null', /^(~|null|Null|NULL)?$/, () => null),
  tag('bool', /^(y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/, (text) => words[text]),
  tag('int', /^[-+0-9][-+0-9a-fA-FxXoO_]*$/, (text) => resolveNumber(text)),
  tag('float', /^[-+.0-9][-+.0-9eE_a-zA-Z]*$/, (text, onError) => {
    const value = resolveNumber(text);
    if (typeof value === 'number' && !Number.isFinite(value)) onError(`${text} is no value that JSON knows`);
    return value;
  }),
  { tag: 'tag:yaml.org,2002:binary', resolve: (text) => new TextDecoder().decode(Uint8Array.from(atob(text.replace(/\s/g, '')), (c) => c.charCodeAt(0))) },
];
/** Text stays text where the characters look like a number but make none. Numbers are bigint where a double would lose digits. */
export function resolveNumber(text: string): string | number | bigint {
  if (/^[-+]?\.(inf|Inf|INF)$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^\.(nan|NaN|NAN)$/.test(text)) return Number.NaN;
  const plain = text.startsWith('.') ? text : text.replaceAll('_', '');
  if (goInteger.test(plain)) {
    const value = integerOf(plain);
    if (value >= -(2n ** 63n) && value < 2n ** 64n) return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  return goFloat.test(plain) && Number.isFinite(Number(plain)) ? Number(plain) : text;
}

/** The value of one document: its first YAML document (what follows `...` is ignored, as upstream), of a repeated key the last. */
export function parseResourceYaml(chunk: Chunk): unknown {
  const document = parseDocument(chunk.text, { schema: 'failsafe', customTags: (tags) => [...goScalars, ...tags], merge: true, uniqueKeys: false, prettyErrors: false, logLevel: 'silent', strict: true });
  const problem = document.errors.find((error) => error.code !== 'MULTIPLE_DOCS');
  if (problem) throw new YamlError(`line ${chunk.line + lineOf(chunk.text, problem.pos[0])}: ${problem.message}`);
  try {
    return document.toJS({ maxAliasCount: 1000 }) as unknown;
  } catch (error) {
    throw new YamlError(`line ${chunk.line}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
const lineOf = (text: string, at: number) => text.slice(0, at).split('\n').length - 1;

