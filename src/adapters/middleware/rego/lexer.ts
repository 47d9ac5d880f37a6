// The words of a Rego module.

export interface Token {
  kind: 'name' | 'number' | 'text' | 'sign' | 'end';
  text: string;
  line: number;
  /** Follows the token before it without a space: `f(` is a call, `f (` is not. */
  joined: boolean;
  /** First on its line. */
  first: boolean;
}

/** What is wrong with a policy, as OPA words it: `inline.rego:3: rego_parse_error: …`. */
export class RegoError extends Error {
  override name = 'RegoError';
}
export const problem = (line: number, code: 'rego_parse_error' | 'rego_unsafe_var_error' | 'rego_type_error' | 'rego_recursion_error' | 'rego_compile_error', text: string): RegoError =>
  new RegoError(`1 error occurred: inline.rego:${line}: ${code}: ${text}`);

const signs = [':=', '==', '!=', '<=', '>=', '{', '}', '[', ']', '(', ')', ',', ';', ':', '.', '=', '<', '>', '|', '&', '+', '-', '*', '/', '%'];
const word = /[A-Za-z_][A-Za-z0-9_]*/y;
const number = /(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const text = /"(?:[^"\\\n]|\\.)*"/y;
const raw = /`[^`]*`/y;
const space = /[ \t\r\n]+|#[^\n]*/y;

export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let joined = false;
  let first = true;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  while (at < source.length) {
    const blank = take(space);
    if (blank !== undefined) {
      const breaks = blank.split('\n').length - 1;
      line += breaks;
      first ||= breaks > 0;
      joined = false;
      at += blank.length;
      continue;
    }
    const found = one();
    tokens.push({ ...found, line, joined, first });
    line += found.taken.split('\n').length - 1;
    at += found.taken.length;
    joined = true;
    first = false;
  }
  return [...tokens, { kind: 'end', text: '', line, joined: false, first: true }];

  function one(): { kind: Token['kind']; text: string; taken: string } {
    const name = take(word);
    if (name !== undefined) return { kind: 'name', text: name, taken: name };
    const digits = take(number);
    if (digits !== undefined) return { kind: 'number', text: digits, taken: digits };
    const quoted = take(text);
    if (quoted !== undefined) {
      try {
        return { kind: 'text', text: JSON.parse(quoted.replaceAll('\t', '\\t')) as string, taken: quoted };
      } catch {
        throw problem(line, 'rego_parse_error', `illegal string literal ${quoted}`);
      }
    }
    const plain = take(raw);
    if (plain !== undefined) return { kind: 'text', text: plain.slice(1, -1), taken: plain };
    const sign = signs.find((candidate) => source.startsWith(candidate, at));
    if (sign === undefined) throw problem(line, 'rego_parse_error', `illegal token ${JSON.stringify(source[at])}`);
    return { kind: 'sign', text: sign, taken: sign };
  }
}
