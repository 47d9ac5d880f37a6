// Parameters of a statement, decoded from JSON, in the texts PostgreSQL reads. The server makes of them what the statement needs.
import { type Exact, Digits, printExact } from '../../core/json-exact.ts';
import { AdapterError } from '../../core/errors.ts';

export type ParameterText = string | null;

/** Lists and objects are JSON. */
export function parameterText(value: Exact): ParameterText {
  if (value === null || typeof value === 'string') return value;
  return value instanceof Digits ? numberText(value.text) : printExact(value);
}

/** As an integer column takes it too: `1.0` and `1e3` are whole numbers, and are written as such. */
const numberText = (digits: string): string => (/[eE]/.test(digits) ? String(Number(digits)) : digits.replace(/\.0+$/, ''));

/**
 * Runs a statement with its parameters. Whether a list is meant as JSON or as an array only the server knows: one it refuses as an array
 * literal, before it did anything, is sent again as one.
 */
export async function withParameters<T>(parameters: readonly Exact[], run: (texts: ParameterText[]) => Promise<T>): Promise<T> {
  const texts = parameters.map(parameterText);
  const asJson = new Set([...parameters.keys()].filter((i) => Array.isArray(parameters[i])));
  for (;;) {
    try {
      return await run(texts);
    } catch (error) {
      const refused = error instanceof AdapterError && error.message.includes('(SQLSTATE 22P02)') ? [...asJson].filter((i) => error.message.includes(`"${texts[i]}"`)) : [];
      if (refused.length === 0) throw error;
      for (const i of refused) {
        asJson.delete(i);
        texts[i] = arrayLiteral(parameters[i] as readonly Exact[]);
      }
    }
  }
}

const arrayLiteral = (items: readonly Exact[]): string => `{${items.map((item) => (Array.isArray(item) ? arrayLiteral(item) : elementText(parameterText(item)))).join(',')}}`;
const elementText = (text: ParameterText): string => (text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`);
