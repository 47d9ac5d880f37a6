// Values of Rego: JSON, objects whose keys are any value, and sets; with Rego's order and equality.

export type Value = null | boolean | number | string | readonly Value[] | RegoObject | RegoSet;

export class RegoObject {
  readonly entries: Map<string, readonly [Value, Value]>;
  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    this.entries = new Map();
    for (const entry of entries) this.entries.set(keyOf(entry[0]), entry);
  }
  get(key: Value): Value | undefined { return this.entries.get(keyOf(key))?.[1]; }
  has(key: Value): boolean { return this.entries.has(keyOf(key)); }
  get size(): number { return this.entries.size; }
  /** By key. */
  sorted(): (readonly [Value, Value])[] { return [...this.entries.values()].sort((a, b) => compare(a[0], b[0])); }
}

export class RegoSet {
  readonly items: Map<string, Value>;
  constructor(items: Iterable<Value> = []) {
    this.items = new Map();
    for (const item of items) this.items.set(keyOf(item), item);
  }
  has(item: Value): boolean { return this.items.has(keyOf(item)); }
  get size(): number { return this.items.size; }
  sorted(): Value[] { return [...this.items.values()].sort(compare); }
}

export const isArray = (value: Value): value is readonly Value[] => Array.isArray(value);

/** One text for equal values, another for others. */
export function keyOf(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null || typeof value !== 'object') return String(value);
  if (isArray(value)) return `[${value.map(keyOf).join()}]`;
  if (value instanceof RegoSet) return `<${value.sorted().map(keyOf).join()}>`;
  return `{${value.sorted().map(([key, item]) => `${keyOf(key)}:${keyOf(item)}`).join()}}`;
}
export const equal = (a: Value, b: Value): boolean => a === b || (typeof a === 'object' && typeof b === 'object' && keyOf(a) === keyOf(b));

const rank = (value: Value): number =>
  value === null ? 0 : typeof value === 'boolean' ? 1 : typeof value === 'number' ? 2 : typeof value === 'string' ? 3 : isArray(value) ? 4 : value instanceof RegoObject ? 5 : 6;
const compareText = (a: string, b: string): number => {
  const [x, y] = [[...a], [...b]];
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return (x[i] as string).codePointAt(0)! - (y[i] as string).codePointAt(0)!;
  return x.length - y.length;
};
const compareLists = (a: readonly Value[], b: readonly Value[]): number => {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compare(a[i] as Value, b[i] as Value);
    if (order !== 0) return order;
  }
  return a.length - b.length;
};
/** null < false < true < numbers < strings < arrays < objects < sets. */
export function compare(a: Value, b: Value): number {
  const kinds = rank(a) - rank(b);
  if (kinds !== 0) return kinds;
  if (a === null || b === null) return 0;
  if (typeof a === 'boolean' || typeof a === 'number') return Number(a) - Number(b);
  if (typeof a === 'string') return compareText(a, b as string);
  if (isArray(a)) return compareLists(a, b as readonly Value[]);
  if (a instanceof RegoSet) return compareLists(a.sorted(), (b as RegoSet).sorted());
  const [x, y] = [(a as RegoObject).sorted(), (b as RegoObject).sorted()];
  return compareLists(x.map(([key]) => key), y.map(([key]) => key)) || compareLists(x.map(([, item]) => item), y.map(([, item]) => item));
}

export function fromJson(value: unknown): Value {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value === 'object' && value !== null) return new RegoObject(Object.entries(value).map(([key, item]) => [key, fromJson(item)] as const));
  return value as Value;
}
/** Sets become lists; keys that are no text become their JSON. */
export function toJson(value: Value): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (isArray(value)) return value.map(toJson);
  if (value instanceof RegoSet) return value.sorted().map(toJson);
  return Object.fromEntries(value.sorted().map(([key, item]) => [typeof key === 'string' ? key : JSON.stringify(toJson(key)), toJson(item)]));
}
export const typeName = (value: Value): string =>
  value === null ? 'null' : isArray(value) ? 'array' : value instanceof RegoSet ? 'set' : value instanceof RegoObject ? 'object' : typeof value;
