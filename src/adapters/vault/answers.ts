// What a key/value engine of Vault answers, read as Dapr shows it.
import { AdapterError, textOf } from '../../core/errors.ts';
import { parseFirst } from '../../core/go-json.ts';
import { entriesOf, type Exact, parseExact, printExact } from '../../core/json-exact.ts';

/**
 * The entries of a secret; null where it has none at all. Values that are no texts are their JSON: in Dapr one number makes the
 * whole secret unreadable.
 */
export function entriesOfData(json: string, levels: readonly string[]): Record<string, string> | null {
  const data = inner(json, levels);
  if (data === null || data === undefined) return null;
  const entries = entriesOf(data);
  if (entries === undefined) throw new AdapterError('internal', `couldn't decode response body: json: cannot unmarshal ${Array.isArray(data) ? 'array' : typeof data} into Go struct field .${levels.join('.')} of type map[string]string`);
  return Object.fromEntries(entries.map(([name, value]) => [name, value === null ? '' : typeof value === 'string' ? value : printExact(value)]));
}

/** The whole secret as one text. */
export function textOfData(json: string, levels: readonly string[]): string {
  const data = inner(json, levels);
  return data === null || data === undefined ? '' : typeof data === 'string' ? data : printExact(data);
}

/** Names in the answer to a list, folders with a slash at the end. */
export function keysOfList(json: string): string[] {
  const keys = inner(json, ['data', 'keys']);
  return Array.isArray(keys) ? keys.filter((key): key is string => typeof key === 'string') : [];
}

function inner(json: string, levels: readonly string[]): Exact | undefined {
  try {
    parseFirst(json); // throws with what is wrong
  } catch (error) {
    throw new AdapterError('internal', `couldn't decode response body: ${textOf(error)}`, error);
  }
  let value: Exact | undefined = parseExact(json);
  for (const level of levels) value = value === undefined ? undefined : entriesOf(value)?.find(([name]) => name === level)?.[1];
  return value;
}
