// Avro schemas, read and refused as the library that daprd uses does, so that a schema means the same here (linkedin/goavro codec.go, record.go, union.go, logical_type.go).
import { goQuote } from '../../core/go-quote.ts';
import { compareBytes } from '../../core/json-exact.ts';
import { writeAvro } from './avro-binary.ts';
import { type AvroField, type AvroType, type AvroValue, goPrint, goType, unscaled, within } from './avro-value.ts';

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type JsonObject = { [name: string]: Json };
const isObject = (json: Json | undefined): json is JsonObject => typeof json === 'object' && json !== null && !Array.isArray(json);

const primitives = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const;
/** Of goavro's logical types those that are numbers; their values are the numbers themselves. Others mean what they stand on. */
const logicalNumbers: Record<string, 'int' | 'long'> = { 'long.timestamp-millis': 'long', 'long.timestamp-micros': 'long', 'int.time-millis': 'int', 'long.time-micros': 'long', 'int.date': 'int' };

/** Throws an Error that says what is wrong with the schema. */
export function parseAvroSchema(text: string): AvroType {
  let json: Json;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`cannot unmarshal schema JSON: ${(error as Error).message}`, { cause: error });
  }
  const known = new Map<string, AvroType>(primitives.map((kind) => [kind, { kind, name: kind }]));
  for (const name in logicalNumbers) known.set(name, { kind: logicalNumbers[name] as 'int' | 'long', name });

  const typeOf = (schema: Json, namespace: string): AvroType => {
    if (typeof schema === 'string') return named(schema, {}, namespace);
    if (Array.isArray(schema)) return union(schema, namespace);
    if (!isObject(schema)) throw new Error(`unknown schema type: ${goType(schema)}`);
    const { type } = schema;
    if (type === undefined) throw new Error(`missing type: ${goPrint(schema)}`);
    if (typeof type === 'string') return named(type, schema, namespace);
    if (typeof type !== 'object' || type === null) throw new Error(`type ought to be either string, map[string]interface{}, or []interface{}; received: ${goType(type)}`);
    return typeOf(type, namespace);
  };
  const named = (type: string, schema: JsonObject, namespace: string): AvroType => {
    const logical = schema.logicalType === undefined || schema.logicalType === null ? undefined : `${type}.${String(schema.logicalType)}`;
    const found = known.get(logical ?? type) ?? (namespace === '' ? undefined : known.get(`${namespace}.${type}`));
    if (found !== undefined && found.kind !== 'decimal') return found;
    switch (logical ?? type) {
      case 'array': return array(schema, namespace);
      case 'map': return map(schema, namespace);
      case 'enum': return enumeration(schema, namespace);
      case 'record': return record(schema, namespace);
      case 'fixed': return fixed(schema, namespace);
      case 'bytes.decimal': return decimal(schema, namespace, 'bytes.decimal');
      case 'fixed.decimal': return decimal(schema, namespace, 'fixed.decimal');
      default:
        if (found !== undefined) return found;
        if (logical === undefined) throw new Error(`unknown type name: ${goQuote(type)}`);
        return named(type, { ...schema, logicalType: null }, namespace);
    }
  };

  const array = (schema: JsonObject, namespace: string): AvroType => {
    if (schema.items === undefined) throw new Error('Array ought to have items key');
    return { kind: 'array', name: 'array', items: within('Array items ought to be valid Avro type: ', () => typeOf(schema.items as Json, namespace)) };
  };
  const map = (schema: JsonObject, namespace: string): AvroType => {
    if (schema.values === undefined) throw new Error('Map ought to have values key');
    return { kind: 'map', name: 'map', values: within('Map values ought to be valid Avro type: ', () => typeOf(schema.values as Json, namespace)) };
  };
  const union = (schemas: Json[], namespace: string): AvroType => {
    if (schemas.length === 0) throw new Error('Union ought to have one or more members');
    const members: AvroType[] = [];
    const indexOf = new Map<string, number>();
    schemas.forEach((schema, i) => {
      const member = within(`Union item ${i + 1} ought to be valid Avro type: `, () => typeOf(schema, namespace));
      if (indexOf.has(member.name)) throw new Error(`Union item ${i + 1} ought to be unique type: ${member.name}`);
      indexOf.set(member.name, i);
      members.push(member);
    });
    return { kind: 'union', name: 'union', members, indexOf, ordered: [...members].sort((a, b) => compareBytes(a.name, b.name)) };
  };
  const enumeration = (schema: JsonObject, namespace: string): AvroType => {
    const { name } = within('Enum ought to have valid name: ', () => fullName(schema, namespace));
    const { symbols } = schema;
    if (symbols === undefined) throw new Error(`Enum ${goQuote(name)} ought to have symbols key`);
    if (!Array.isArray(symbols) || symbols.length === 0) throw new Error(`Enum ${goQuote(name)} symbols ought to be non-empty array of strings: ${goPrint(symbols)}`);
    symbols.forEach((symbol, i) => {
      if (typeof symbol !== 'string') throw new Error(`Enum ${goQuote(name)} symbol ${i + 1} ought to be non-empty string; received: string`);
      const wrong = wrongName(symbol);
      if (wrong !== undefined) throw new Error(`Enum ${goQuote(name)} symbol ${i + 1} ought to ${wrong}`);
    });
    return keep({ kind: 'enum', name, symbols: symbols as string[] });
  };
  const sizeOf = ({ size }: JsonObject, name: string): number => {
    if (size === undefined) throw new Error(`Fixed ${goQuote(name)} ought to have size key`);
    const number = typeof size === 'string' && /^\d+$/.test(size) ? Number(size) : size;
    if (typeof number !== 'number' || number <= 0) throw new Error(`Fixed ${goQuote(name)} size ought to be number greater than zero: ${String(size)}`);
    return Math.floor(number);
  };
  const fixed = (schema: JsonObject, namespace: string): AvroType => {
    const { name } = within('Fixed ought to have valid name: ', () => fullName(schema, namespace));
    return keep({ kind: 'fixed', name, size: sizeOf(schema, name) });
  };
  const decimal = (schema: JsonObject, namespace: string, usual: 'bytes.decimal' | 'fixed.decimal'): AvroType => {
    const { precision, scale = 0 } = schema;
    if (precision === undefined) throw new Error('cannot create decimal logical type without precision');
    if (typeof precision !== 'number') throw new Error(`cannot create decimal logical type with wrong precision type; expected: float64; received: ${goType(precision)}`);
    if (precision < 1) throw new Error(`cannot create decimal logical type when precision is less than one: ${precision}`);
    if (typeof scale !== 'number') throw new Error(`cannot create decimal logical type with wrong scale type; expected: float64; received: ${goType(scale)}`);
    if (scale < 0) throw new Error(`cannot create decimal logical type when scale is less than zero: ${scale}`);
    if (scale > precision) throw new Error(`cannot create decimal logical type when scale is larger than precision: ${scale} > ${precision}`);
    const isFixed = usual === 'fixed.decimal';
    const { name } = within(`${isFixed ? 'Fixed' : 'Bytes'} ought to have valid name: `, () => fullName({ name: usual, ...schema }, namespace));
    return keep({ kind: 'decimal', name, size: isFixed ? sizeOf(schema, name) : undefined });
  };
  const record = (schema: JsonObject, namespace: string): AvroType => {
    const { name, namespace: own } = within('Record ought to have valid name: ', () => fullName(schema, namespace));
    const fields: AvroField[] = [];
    const byName = new Map<string, AvroField>();
    // Known before its fields are, which may speak of it.
    const self = keep({ kind: 'record', name, fields, byName });
    if (schema.fields === undefined) throw new Error(`Record ${goQuote(name)} ought to have fields key`);
    if (!Array.isArray(schema.fields)) throw new Error(`Record ${goQuote(name)} fields ought to be non-nil array: ${goPrint(schema.fields)}`);
    schema.fields.forEach((field, i) => {
      const which = `Record ${goQuote(name)} field ${i + 1} ought to`;
      if (!isObject(field)) throw new Error(`${which} be valid Avro named type; received: ${goPrint(field)}`);
      const type = within(`${which} be valid Avro named type: `, () => typeOf(field, own));
      const short = shortName(fieldName(field, own, `${which} have valid name: ${goPrint(field)}`));
      if (byName.has(short)) throw new Error(`${which} have unique name: ${goQuote(short)}`);
      const made: AvroField = { name: short, type, fallback: field.default === undefined ? undefined : fallbackOf(field.default, type, `Record ${goQuote(name)} field ${goQuote(short)}: default value ought to`) };
      fields.push(made);
      byName.set(short, made);
    });
    return self;
  };
  const keep = (type: AvroType): AvroType => {
    known.set(type.name, type);
    return type;
  };
  return typeOf(json, '');
}

function wrongName(text: string): string | undefined {
  if (text === '') return 'be non-empty string';
  if (!/^[A-Za-z_]/.test(text)) return `start with [A-Za-z_]: ${text}`;
  return /^\w+$/.test(text) ? undefined : `have second and remaining characters contain only [A-Za-z0-9_]: ${text}`;
}
const shortName = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
function fieldName(field: JsonObject, namespace: string, failure: string): string {
  try {
    return fullName(field, namespace).name;
  } catch (error) {
    throw new Error(failure, { cause: error });
  }
}
function fullName({ name, namespace: given = '' }: JsonObject, enclosing: string): { name: string; namespace: string } {
  if (name === undefined) throw new Error('schema ought to have name key');
  if (typeof name !== 'string' || name === '') throw new Error(`schema name ought to be non-empty string; received: ${goType(name)}: ${goPrint(name)}`);
  if (typeof given !== 'string') throw new Error(`schema namespace, if provided, ought to be a string; received: ${goType(given)}: ${goPrint(given)}`);
  const dot = name.lastIndexOf('.');
  const namespace = dot >= 0 ? name.slice(0, dot) : given || enclosing;
  const full = dot >= 0 || namespace === '' ? name : `${namespace}.${name}`;
  for (const part of full.split('.')) {
    const wrong = wrongName(part);
    if (wrong !== undefined) throw new Error(`schema name ought to ${wrong}`);
  }
  return { name: full, namespace };
}

/** Throws where the type does not take it. Of a union it is a value of the first member. */
function fallbackOf(json: Json, type: AvroType, what: string): AvroValue {
  const kinds: Partial<Record<AvroType['kind'], string>> = { boolean: 'boolean', bytes: 'string', string: 'string', int: 'number', long: 'number', float: 'number', double: 'number', decimal: 'string' };
  const words: Partial<Record<AvroType['kind'], string>> = { boolean: 'have a bool type, got', bytes: 'have a string type got', string: 'have a string type got', int: 'have a number type got', long: 'have a number type got', float: 'have a float type got', double: 'have a double type got', decimal: 'have a string type got' };
  const wanted = type.name === type.kind || type.kind === 'decimal' ? kinds[type.kind] : undefined;
  if (wanted !== undefined && typeof json !== wanted) throw new Error(`${what} ${words[type.kind]}: ${goType(json)}`);
  let value = wanted === 'number' && (type.kind === 'int' || type.kind === 'long') ? Math.trunc(json as number) : plainValue(json);
  if (type.kind === 'union') {
    const first = (type.members[0] as AvroType).name;
    // "null" in quotes is a mistake that many schemas make, and goavro takes it.
    value = (json === null || json === 'null') && first === 'null' ? null : new Map([[first, json === 'null' ? null : value]]);
  } else if (type.kind === 'decimal') value = unscaled(new TextEncoder().encode(json as string));
  try {
    writeAvro(type, value);
  } catch (error) {
    throw new Error(`${what} encode using field schema: ${(error as Error).message}`, { cause: error });
  }
  return value;
}
const plainValue = (json: Json): AvroValue => (Array.isArray(json) ? json.map(plainValue) : isObject(json) ? new Map(Object.entries(json).map(([name, one]) => [name, plainValue(one)])) : json);
