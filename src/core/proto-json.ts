// Requests in protobuf's JSON, as Dapr's "universal" handlers read them (protojson: unknown fields discarded, the whole body one message).
import { GoJsonError, parseWhole } from './go-json.ts';

/** How one field is read from the JSON text of its value; null never arrives, it leaves the zero value. */
export interface ProtoField<T> {
  readonly kind: string;
  readonly zero: T;
  /** undefined: not a value of this kind. */
  read(json: string): T | undefined;
}

export const protoString: ProtoField<string> = {
  kind: 'string',
  zero: '',
  read: (json) => {
    const text: unknown = json.startsWith('"') ? JSON.parse(json) : undefined;
    return typeof text === 'string' && text.isWellFormed() ? text : undefined;
  },
};
const int32 = { least: -(2 ** 31), most: 2 ** 31 - 1 };
/** A whole number, also as `60.0`, `6e1` or inside a text. */
export const protoInt32: ProtoField<number> = {
  kind: 'int32',
  zero: 0,
  read: (json) => {
    const digits: unknown = json.startsWith('"') ? JSON.parse(json) : json;
    if (typeof digits !== 'string' || !/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(digits)) return undefined;
    const value = Number(digits);
    return Number.isInteger(value) && value >= int32.least && value <= int32.most ? value + 0 : undefined;
  },
};

type Fields = Record<string, ProtoField<unknown>>;
type Message<F extends Fields> = { [K in keyof F]: F[K] extends ProtoField<infer T> ? T : never };

/**
 * A message by the JSON names of its fields (`resourceId`); the names of the .proto file (`resource_id`) mean the same.
 * `read` takes the whole body, empty = empty message. Throws GoJsonError: not one JSON object, a field twice or of another kind.
 */
export function protoMessage<const F extends Fields>(fields: F): { read(body: Uint8Array): Message<F> } {
  const names = new Map<string, string>();
  for (const name of Object.keys(fields)) {
    names.set(name, name);
    names.set(name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), name);
  }
  return {
    read: (body) => {
      const message = Object.fromEntries(Object.entries(fields).map(([name, { zero }]) => [name, zero])) as Record<string, unknown>;
      if (body.length === 0) return message as Message<F>;
      const text = textOf(body);
      const seen = new Set<string>();
      for (const { key, keyAt, json, at } of membersOf(text)) {
        const name = names.get(key);
        if (name === undefined) continue;
        if (seen.has(name)) throw new GoJsonError(`proto: (line ${position(text, keyAt)}): duplicate field ${JSON.stringify(key)}`);
        seen.add(name);
        if (json === 'null') continue;
        const field = fields[name] as ProtoField<unknown>;
        const value = field.read(json);
        if (value === undefined) throw new GoJsonError(`proto: (line ${position(text, at)}): invalid value for ${field.kind} field ${key}: ${json}`);
        message[name] = value;
      }
      return message as Message<F>;
    },
  };
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function textOf(body: Uint8Array): string {
  try {
    return strict.decode(body);
  } catch {
    throw new GoJsonError('proto: syntax error: invalid UTF-8');
  }
}

/** The members of the one object the text is, in order, with the JSON text of each value. */
function membersOf(text: string): { key: string; keyAt: number; json: string; at: number }[] {
  try {
    parseWhole(text);
  } catch (error) {
    throw error instanceof GoJsonError ? new GoJsonError(`proto: syntax error: ${error.message}`) : error;
  }
  const start = /[^ \t\r\n]/.exec(text) as RegExpExecArray;
  if (start[0] !== '{') throw new GoJsonError(`proto: syntax error (line ${position(text, start.index)}): unexpected token ${text.trim().slice(0, 40)}`);
  const members: { key: string; keyAt: number; json: string; at: number }[] = [];
  let depth = 0;
  let key: string | undefined;
  let keyAt = 0;
  let valueAt = 0;
  for (const { 0: token, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    if (depth === 1 && token.startsWith('"') && key === undefined) {
      key = JSON.parse(token) as string;
      keyAt = index;
    } else if (depth === 1 && token === ':') valueAt = index + 1;
    else if (key !== undefined && ((depth === 1 && token === ',') || depth === 0)) {
      const value = text.slice(valueAt, index);
      members.push({ key, keyAt, json: value.trim(), at: valueAt + value.search(/[^ \t\r\n]/) });
      key = undefined;
    }
  }
  return members;
}

/** `line:column`, both from 1. */
function position(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `${before.length}:${(before.at(-1) as string).length + 1}`;
}
