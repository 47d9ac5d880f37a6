// Avro's types and what stands for their values (avro.apache.org, specification).

/**
 * A value of a type. int, long: a number, beyond ±2^53 a bigint; float, double: a number; bytes, fixed: bytes; decimal: its unscaled
 * bigint; enum: its symbol; record, map: a Map; union: null, or a Map of one entry, from the name of the member to its value.
 */
export type AvroValue = null | boolean | number | bigint | string | Uint8Array | readonly AvroValue[] | ReadonlyMap<string, AvroValue>;

/** `name`: what a union calls the type: the full name where it has one, `long.timestamp-millis` for a logical type. */
export type AvroType =
  | { kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'; name: string }
  | { kind: 'array'; name: string; items: AvroType }
  | { kind: 'map'; name: string; values: AvroType }
  | { kind: 'enum'; name: string; symbols: readonly string[] }
  | { kind: 'fixed'; name: string; size: number }
  /** `size`: of a decimal in a fixed; undefined: in bytes. */
  | { kind: 'decimal'; name: string; size: number | undefined }
  | { kind: 'record'; name: string; fields: readonly AvroField[]; byName: ReadonlyMap<string, AvroField> }
  /** `ordered`: the members by the bytes of their names. */
  | { kind: 'union'; name: string; members: readonly AvroType[]; indexOf: ReadonlyMap<string, number>; ordered: readonly AvroType[] };
export interface AvroField {
  name: string;
  type: AvroType;
  /** Undefined: none, the field must be there. */
  fallback: AvroValue | undefined;
}

/** The same error, with what it made impossible in front. */
export const prefixed = (what: string, error: unknown): Error => new Error(what + (error as Error).message, { cause: error });
export function within<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw prefixed(what, error);
  }
}

/** The number that bytes hold, big-endian two's complement. */
export function unscaled(bytes: Uint8Array): bigint {
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return BigInt.asIntN(bytes.length * 8, number);
}

/** Go's name for the type of a value, as error texts have it. */
export function goType(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (value instanceof Uint8Array) return '[]uint8';
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'object') return 'map[string]interface {}';
  return { boolean: 'bool', number: 'float64', bigint: 'int64' }[typeof value as string] ?? 'string';
}
/** Two's complement, big-endian, in `size` bytes or as few as it takes. */
export function decimalBytes(value: bigint, size: number | undefined): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(length * 8, value) !== value) length++;
  if (size !== undefined && length > size) throw new Error(`cannot transform to bytes, a decimal of ${length} bytes does not fit into ${size}`);
  const bytes = new Uint8Array(size ?? length);
  let rest = value;
  for (let i = bytes.length - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}
/** A value of JSON as Go's %v prints it. */
export function goPrint(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goPrint).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const entries = value instanceof Map ? [...(value as ReadonlyMap<string, unknown>)] : Object.entries(value);
  return `map[${entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, one]) => `${name}:${goPrint(one)}`).join(' ')}]`;
}
/** The entry of a Map that has one: a value of a union. */
export const onlyEntry = (map: ReadonlyMap<string, AvroValue>): readonly [string, AvroValue] => map.entries().next().value as [string, AvroValue];
