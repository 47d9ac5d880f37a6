// CEL, the Common Expression Language of routing rules and circuit breakers, as daprd's cel-go understands it (dapr/pkg/expr/expr.go).
import type { ASTNode, Environment } from '@marcbachmann/cel-js';

/** A checked expression. */
export interface CelExpression {
  readonly text: string;
  /**
   * The value for these variables: numbers count as double, bigints as int, objects as maps. Throws a CelError with cel-go's words
   * where there is none: a variable or key that is missing, an operator that does not know such values.
   */
  evaluate(variables: Readonly<Record<string, unknown>>): unknown;
}

/** Not an expression (the text begins with `ERROR: <input>:LINE:COLUMN:`, as in Go), or one without a value. */
export class CelError extends Error {
  override name = 'CelError';
}

/** What cel-go's standard library offers. Our engine knows more; a rule that uses it would keep daprd busy for ever (its search for undeclared names never ends). */
const functions = new Set(['bool', 'bytes', 'double', 'duration', 'dyn', 'has', 'int', 'matches', 'size', 'string', 'timestamp', 'type', 'uint']);
const methods = new Set([
  'all', 'exists', 'exists_one', 'filter', 'map', 'contains', 'endsWith', 'matches', 'size', 'startsWith', 'getDate', 'getDayOfMonth', 'getDayOfWeek',
  'getDayOfYear', 'getFullYear', 'getHours', 'getMilliseconds', 'getMinutes', 'getMonth', 'getSeconds',
]);
/** The engine's own `matches` is JavaScript's RegExp; ours has this name, of the same length, so that places in messages stay. */
const ourMatches = 'matchRE';

/** Compiles an expression; every name in it is a variable of any type. Rejects with a CelError. The engine is loaded with the first one. */
export async function compileCel(text: string): Promise<CelExpression> {
  const env = await environment();
  try {
    const { ast } = env.parse(text);
    let source = text;
    for (const node of nodesOf(ast)) {
      if (node.op === 'call' && !functions.has(node.args[0])) throw undeclared(text, node.args[0], node.start);
      if (node.op !== 'rcall') continue;
      const [name, receiver] = node.args;
      if (!methods.has(name)) throw undeclared(text, name, text.indexOf('(', receiver.end));
      if (name !== 'matches') continue;
      const at = text.indexOf(name, receiver.end);
      source = source.slice(0, at) + ourMatches + source.slice(at + name.length);
    }
    if (/\bmatches\b|\bmatchRE\b/.test(source)) await regularExpressions();
    const program = env.parse(source);
    const { valid, error } = program.check();
    if (!valid) throw error;
    return {
      text,
      evaluate: (variables) => {
        try {
          return program(variables);
        } catch (error) {
          const words = wording(summaryOf(error));
          throw new CelError(noOverload.test(words) ? 'no such overload' : words, { cause: error });
        }
      },
    };
  } catch (error) {
    if (error instanceof CelError) throw error;
    const { name, range } = error as { name?: string; range?: { start: number } };
    const summary = wording(summaryOf(error));
    throw problem(text, name === 'ParseError' ? `Syntax error: ${summary}` : summary, range?.start ?? 0);
  }
}

let shared: Promise<Environment> | undefined;
const environment = () => (shared ??= makeEnvironment());

async function makeEnvironment(): Promise<Environment> {
  const { Environment } = await import('@marcbachmann/cel-js');
  const seconds = (time: Date) => Math.floor(time.getTime() / 1000);
  return new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false })
    .registerFunction(`string.${ourMatches}(string): bool`, matches)
    .registerFunction('matches(string, string): bool', matches)
    .registerFunction('int(google.protobuf.Timestamp): int', (time: Date) => BigInt(seconds(time)))
    .registerFunction('string(google.protobuf.Timestamp): string', (time: Date) => time.toISOString().replace(/\.?0*Z$/, 'Z'))
    .registerFunction('string(google.protobuf.Duration): string', (length: { valueOf(): number }) => `${length.valueOf() / 1000}s`);
}

// RE2, as in Go: its syntax, and no pattern that takes for ever on some text.
let compileRe2: ((pattern: string) => { test(text: string): boolean }) | undefined;
async function regularExpressions(): Promise<void> {
  if (compileRe2 !== undefined) return;
  const { RE2JS } = await import('re2js');
  compileRe2 = (pattern) => RE2JS.compile(pattern);
}
/** Patterns are nearly always literals; those made of an event's own text must not pile up. */
const mostPatterns = 100;
const patterns = new Map<string, { test(text: string): boolean }>();
function matches(text: string, pattern: string): boolean {
  let compiled = patterns.get(pattern);
  if (compiled === undefined) {
    if (patterns.size >= mostPatterns) patterns.clear();
    patterns.set(pattern, (compiled = (compileRe2 as NonNullable<typeof compileRe2>)(pattern)));
  }
  return compiled.test(text);
}

function* nodesOf(part: unknown): Generator<ASTNode> {
  if (Array.isArray(part)) for (const item of part) yield* nodesOf(item);
  else if (typeof part === 'object' && part !== null && 'op' in part && 'args' in part) {
    yield part as ASTNode;
    yield* nodesOf(part.args);
  }
}

const summaryOf = (error: unknown): string => (error as { summary?: string }).summary ?? (error instanceof Error ? error.message : String(error));

/** The many words of the engine for values an operator does not know. */
const noOverload = /^no such overload|^found no matching overload|requires bool operands|condition must be bool|predicate must return bool/;
/** The engine's words in cel-go's, which users find in their logs. */
const wording = (text: string): string =>
  text
    .replaceAll(ourMatches, 'matches')
    .replace(/^No such key: index out of bounds, index (-?\d+).*$/, 'index out of bounds: $1')
    .replace(/^No such key: /, 'no such key: ')
    .replace(/^Unknown variable: /, 'no such attribute(s): ');

const undeclared = (text: string, name: string, at: number) => problem(text, `undeclared reference to '${name}' (in container '')`, at);

function problem(text: string, summary: string, at: number): CelError {
  const before = text.slice(0, at).split('\n');
  const line = before.length;
  const column = (before.at(-1) as string).length;
  return new CelError(`ERROR: <input>:${line}:${column + 1}: ${summary}\n | ${text.split('\n')[line - 1]}\n | ${'.'.repeat(column)}^`);
}
