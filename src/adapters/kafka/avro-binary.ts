// Values in Avro's binary form, written and read as goavro does (avro.apache.org, "Binary Encoding"; linkedin/goavro).
import { goQuote } from '../../core/go-quote.ts';
import { type AvroType, type AvroValue, decimalBytes, goPrint, goType, onlyEntry, prefixed, unscaled, within } from './avro-value.ts';

const short = 'short buffer';
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const mostItems = 0x7fffffff;
const mostEmptyItems = 65_536;

interface Sink {
  byte(value: number): Sink;
  bytes(value: Uint8Array): Sink;
  done(): Uint8Array;
}
function createSink(): Sink {
  let all = new Uint8Array(256), length = 0;
  const room = (count: number): void => {
    if (length + count <= all.length) return;
    const larger = new Uint8Array(Math.max(all.length * 2, length + count));
    larger.set(all.subarray(0, length));
    all = larger;
  };
  const sink: Sink = {
    byte: (value) => {
      room(1);
      all[length++] = value;
      return sink;
    },
    bytes: (value) => {
      room(value.length);
      all.set(value, length);
      length += value.length;
      return sink;
    },
    done: () => all.subarray(0, length),
  };
  return sink;
}

/** Throws an Error in goavro's words where the type does not take the value. */
export function writeAvro(type: AvroType, value: AvroValue): Uint8Array {
  return write(type, value, createSink()).done();
}

function write(type: AvroType, value: AvroValue, to: Sink): Sink {
  switch (type.kind) {
    case 'null':
      if (value !== null) throw new Error(`cannot encode binary null: expected: Go nil; received: ${goType(value)}`);
      return to;
    case 'boolean':
      if (typeof value !== 'boolean') throw new Error(`cannot encode binary boolean: expected: Go bool; received: ${goType(value)}`);
      return to.byte(value ? 1 : 0);
    case 'int':
    case 'long': return writeLong(integerOf(type, value), to);
    case 'float':
    case 'double': {
      if (typeof value !== 'number' && typeof value !== 'bigint') throw new Error(`cannot encode binary ${type.kind}: expected: Go numeric; received: ${goType(value)}`);
      const bytes = new Uint8Array(type.kind === 'float' ? 4 : 8);
      const view = new DataView(bytes.buffer);
      if (type.kind === 'float') view.setFloat32(0, Number(value), true);
      else if (Number.isNaN(value)) view.setBigUint64(0, 0x7ff8000000000001n, true); // of all that are none, Go's
      else view.setFloat64(0, Number(value), true);
      return to.bytes(bytes);
    }
    case 'bytes':
    case 'string': {
      const bytes = bytesOf(value);
      if (bytes === undefined) throw new Error(`cannot encode binary bytes: expected: ${type.kind === 'bytes' ? '[]byte or string' : 'string'}; received: ${goType(value)}`);
      return writeBytes(bytes, to);
    }
    case 'fixed': {
      const bytes = bytesOf(value);
      if (bytes === undefined) throw new Error(`cannot encode binary fixed ${goQuote(type.name)}: expected []byte or string; received: ${goType(value)}`);
      if (bytes.length !== type.size) throw new Error(`cannot encode binary fixed ${goQuote(type.name)}: datum size ought to equal schema size: ${bytes.length} != ${type.size}`);
      return to.bytes(bytes);
    }
    case 'decimal':
      if (typeof value !== 'bigint') throw new Error(`cannot transform to bytes, expected *big.Rat, received ${goType(value)}`);
      return type.size === undefined ? writeBytes(decimalBytes(value, undefined), to) : to.bytes(decimalBytes(value, type.size));
    case 'enum': {
      if (typeof value !== 'string') throw new Error(`cannot encode binary enum ${goQuote(type.name)}: expected string; received: ${goType(value)}`);
      const index = type.symbols.indexOf(value);
      if (index < 0) throw new Error(`cannot encode binary enum ${goQuote(type.name)}: value ought to be member of symbols: [${type.symbols.join(' ')}]; ${goQuote(value)}`);
      return writeLong(index, to);
    }
    case 'array': {
      if (!Array.isArray(value)) throw new Error(`cannot encode binary array: cannot create []interface{}: expected slice; received: ${goType(value)}`);
      if (value.length > 0) writeLong(value.length, to);
      let i = 0;
      try {
        for (; i < value.length; i++) write(type.items, value[i] as AvroValue, to);
      } catch (error) {
        throw prefixed(`cannot encode binary array item ${i + 1}: ${goPrint(value[i])}: `, error);
      }
      return to.byte(0);
    }
    case 'map': {
      if (!(value instanceof Map)) throw new Error(`cannot encode binary map: cannot create map[string]interface{}: expected map[string]...; received: ${goType(value)}`);
      if (value.size > 0) writeLong(value.size, to);
      for (const [key, one] of value as ReadonlyMap<string, AvroValue>) {
        writeBytes(encoder.encode(key), to);
        try {
          write(type.values, one, to);
        } catch (error) {
          throw prefixed(`cannot encode binary map value for key ${goQuote(key)}: ${goPrint(one)}: `, error);
        }
      }
      return to.byte(0);
    }
    case 'record': {
      if (!(value instanceof Map)) throw new Error(`cannot encode binary record ${goQuote(type.name)}: expected map[string]interface{}; received: ${goType(value)}`);
      const values = value as ReadonlyMap<string, AvroValue>;
      for (const field of type.fields) {
        const given = values.has(field.name) ? (values.get(field.name) as AvroValue) : field.fallback;
        const which = () => `cannot encode binary record ${goQuote(type.name)} field ${goQuote(field.name)}: `;
        if (given === undefined) throw new Error(`${which()}schema does not specify default value and no value provided`);
        try {
          write(field.type, given, to);
        } catch (error) {
          throw prefixed(`${which()}value does not match its schema: `, error);
        }
      }
      return to;
    }
    case 'union': {
      const names = () => `[${type.members.map(({ name }) => name).join(' ')}]`;
      if (value !== null && !(value instanceof Map && value.size === 1)) throw new Error(`cannot encode binary union: non-nil Union values ought to be specified with Go map[string]interface{}, with single key equal to type name, and value equal to datum value: ${names()}; received: ${goType(value)}`);
      const [name, inner] = value === null ? ['null', null] : onlyEntry(value as ReadonlyMap<string, AvroValue>);
      const index = type.indexOf.get(name);
      if (index === undefined) throw new Error(`cannot encode binary union: no member schema types support datum: allowed types: ${names()}; received: ${goType(value)}`);
      writeLong(index, to);
      return write(type.members[index] as AvroType, inner, to);
    }
  }
}

const bytesOf = (value: AvroValue): Uint8Array | undefined => (typeof value === 'string' ? encoder.encode(value) : value instanceof Uint8Array ? value : undefined);
function integerOf({ kind, name }: AvroType, value: AvroValue): number | bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value !== 'number' && name !== kind) throw new Error(`cannot transform to binary ${name.slice(kind.length + 1)}, expected time.${name.includes('.time-') ? 'Duration' : 'Time'} or Go numeric, received ${goType(value)}`);
  if (typeof value !== 'number') throw new Error(`${kind === 'int' ? 'cannot encode binary int' : 'long'}: expected: Go numeric; received: ${goType(value)}`);
  if (!Number.isInteger(value) || (kind === 'int' && (value | 0) !== value)) throw new Error(`cannot encode binary ${kind}: provided Go float64 would lose precision: ${value.toFixed(6)}`);
  return value;
}
const writeBytes = (bytes: Uint8Array, to: Sink): Sink => writeLong(bytes.length, to).bytes(bytes);
/** Zigzag, seven bits a byte, the lowest first. */
function writeLong(value: number | bigint, to: Sink): Sink {
  if (typeof value === 'number' && Math.abs(value) < 2 ** 52) {
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) to.byte((rest % 128) | 0x80);
    return to.byte(rest);
  }
  const number = BigInt(value);
  let rest = number < 0n ? -2n * number - 1n : 2n * number;
  for (; rest > 0x7fn; rest >>= 7n) to.byte(Number(rest & 0x7fn) | 0x80);
  return to.byte(Number(rest));
}
/** What follows the value is ignored. Throws an Error in goavro's words. */
export function readAvro(type: AvroType, bytes: Uint8Array): AvroValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;

  /** A number where it is one exactly. */
  const long = (): number | bigint => {
    let value = 0, scale = 1;
    for (let i = at; i < bytes.length && i < at + 7; i++, scale *= 128) {
      const byte = bytes[i] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        at = i + 1;
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
    }
    let large = 0n;
    for (let i = at; i < bytes.length; i++) {
      const byte = bytes[i] as number;
      large |= BigInt(byte & 0x7f) << BigInt((i - at) * 7);
      if (byte < 0x80) {
        at = i + 1;
        large = BigInt.asUintN(64, large);
        const signed = BigInt.asIntN(64, (large >> 1n) ^ -(large & 1n));
        return signed >= BigInt(Number.MIN_SAFE_INTEGER) && signed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(signed) : signed;
      }
      if (i - at > 10) break;
    }
    throw new Error(short);
  };
  const chunk = (what: string): Uint8Array => {
    const failed = (why: string): never => { throw new Error(`cannot decode binary ${what}: ${why}`); };
    let size: number | bigint;
    try {
      size = long();
    } catch {
      return failed(short);
    }
    if (size < 0) failed(`negative size: ${size}`);
    if (size > bytes.length - at) failed(short);
    at += Number(size);
    return bytes.subarray(at - Number(size), at);
  };
  const string = (): string => decoder.decode(chunk('string: cannot decode binary bytes'));
  /** How many items come next; 0: no more. */
  const block = (what: 'array' | 'map'): number => {
    const number = (which: string): number | bigint => within(`cannot decode binary ${what} block ${which}: `, long);
    let count = number('count');
    if (count < 0) {
      count = -count;
      number('size');
    }
    if (count > mostItems) throw new Error(`cannot decode binary ${what} when block count exceeds MaxBlockCount: ${count} > ${mostItems}`);
    return Number(count);
  };
  const read = (type: AvroType): AvroValue => {
    switch (type.kind) {
      case 'null': return null;
      case 'boolean': {
        if (at >= bytes.length) throw new Error(short);
        const byte = bytes[at++] as number;
        if (byte > 1) throw new Error(`cannot decode binary boolean: expected: Go byte(0) or byte(1); received: byte(${byte})`);
        return byte === 1;
      }
      case 'int': return Number(BigInt.asIntN(32, BigInt(long())));
      case 'long': return long();
      case 'float':
      case 'double': {
        const size = type.kind === 'float' ? 4 : 8;
        if (at + size > bytes.length) throw new Error(`cannot decode binary ${type.kind}: ${short}`);
        at += size;
        return type.kind === 'float' ? view.getFloat32(at - 4, true) : view.getFloat64(at - 8, true);
      }
      case 'bytes': return chunk('bytes');
      case 'string': return string();
      case 'fixed': return fixed(type.name, type.size);
      case 'decimal': return unscaled(type.size === undefined ? chunk('bytes') : fixed(type.name, type.size));
      case 'enum': {
        let index: number | bigint;
        try {
          index = long();
        } catch (error) {
          throw prefixed(`cannot decode binary enum ${goQuote(type.name)} index: `, error);
        }
        const symbol = type.symbols[Number(index)];
        if (symbol === undefined) throw new Error(`cannot decode binary enum ${goQuote(type.name)}: index ought to be between 0 and ${type.symbols.length - 1}; read index: ${index}`);
        return symbol;
      }
      case 'array': {
        const items: AvroValue[] = [];
        for (let count = block('array'); count > 0; count = block('array')) {
          const before = at;
          for (let i = 0; i < count; i++) {
            try {
              items.push(read(type.items));
            } catch (error) {
              throw prefixed(`cannot decode binary array item ${i + 1}: `, error);
            }
            // Nothing in the message bounds how many there are: a few bytes could fill the memory.
            if (at === before && i >= mostEmptyItems) throw new Error(`cannot decode binary array: more than ${mostEmptyItems} items without content`);
          }
        }
        return items;
      }
      case 'map': {
        const entries = new Map<string, AvroValue>();
        for (let count = block('map'); count > 0; count = block('map')) {
          for (let i = 0; i < count; i++) {
            const key = within('cannot decode binary map key: ', string);
            if (entries.has(key)) throw new Error(`cannot decode binary map: duplicate key: ${goQuote(key)}`);
            try {
              entries.set(key, read(type.values));
            } catch (error) {
              throw prefixed(`cannot decode binary map value for key ${goQuote(key)}: `, error);
            }
          }
        }
        return entries;
      }
      case 'record': {
        const values = new Map<string, AvroValue>();
        for (const field of type.fields) {
          try {
            values.set(field.name, read(field.type));
          } catch (error) {
            throw prefixed(`cannot decode binary record ${goQuote(type.name)} field ${goQuote(field.name)}: `, error);
          }
        }
        return values;
      }
      case 'union': {
        const index = long();
        const member = type.members[Number(index)];
        if (member === undefined) throw new Error(`cannot decode binary union: index ought to be between 0 and ${type.members.length - 1}; read index: ${index}`);
        let value: AvroValue;
        try {
          value = read(member);
        } catch (error) {
          throw prefixed(`cannot decode binary union item ${Number(index) + 1}: `, error);
        }
        return value === null ? null : new Map([[member.name, value]]);
      }
    }
  };
  const fixed = (name: string, size: number): Uint8Array => {
    if (size > bytes.length - at) throw new Error(`cannot decode binary fixed ${goQuote(name)}: schema size exceeds remaining buffer size: ${size} > ${bytes.length - at} (short buffer)`);
    at += size;
    return bytes.subarray(at - size, at);
  };
  return read(type);
}
