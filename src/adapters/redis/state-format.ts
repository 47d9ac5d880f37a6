// How state is kept in Redis, whatever carries the commands: state.redis and state.upstash.redis share every byte (Dapr: components-contrib/state/redis).
import { checkOptions, bytesOf, etagOf } from '../../blocks/state/options.ts';
import { emptyPattern, likePattern, pageOf } from '../../blocks/state/keys-like.ts';
import type { DeleteRequest, GetResult, SetRequest, StateStore, StateValue, TransactionOperation } from '../../blocks/state/port.ts';
import { AdapterError, etagInvalid, etagMismatch, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { RedisConnection, RedisReply } from './connection.ts';
import type { RunScript } from './scripts.ts';
import { flagsOf, pack, readScript, refused, type ScriptOperation, unpack, writeScript } from './state-scripts.ts';

type Commands = Pick<RedisConnection, 'command' | 'masters'> & { script: RunScript };

export interface RedisStateOptions {
  /** Lifetime in seconds of writes that name none; ≤ 0 = never expires, undefined = leave as it is. */
  ttlInSeconds: number | undefined;
  /** Arguments and answers travel as text: bytes that are none are packed, and read through a script. */
  textOnly: boolean;
  /** Whether a write with strong consistency waits for the replicas (WAIT). */
  waitForReplicas: boolean;
}

export type RedisState = Required<Pick<StateStore, 'get' | 'set' | 'delete' | 'transact' | 'keysLike' | 'ping'>> & {
  /** The server has RedisJSON. */
  readonly hasJson: boolean;
};

const jsonType = 'application/json';
// EXPIRE counts in milliseconds since 1970, in 63 bits.
const longestTtl = 9_000_000_000_000_000n;
const int64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n };

/** Asks the server for its replicas and for RedisJSON, then answers as a state store. */
export async function openRedisState(commands: Commands, options: RedisStateOptions): Promise<RedisState> {
  const { command } = commands;
  const replicas = options.waitForReplicas ? Number(/^connected_slaves:(\d+)/m.exec(text(await command('INFO', 'replication')))?.[1] ?? 0) : 0;
  const hasJson = await command('JSON.GET').then(
    () => true,
    (error: unknown) => {
      if (error instanceof AdapterError && error.kind === 'unavailable') throw error;
      return !/unknown command|not available/i.test(textOf(error));
    },
  );

  /** '' per operation that was done, else why not. */
  const run = async (operations: ScriptOperation[]): Promise<string[]> => {
    const keys = operations.map(({ key }) => key);
    const answer = await commands.script(writeScript, keys, operations.flatMap((operation) => argumentsOf(operation, options.textOnly)));
    return (answer as RedisReply[]).map(text);
  };
  const read = options.textOnly ? (key: string, json: boolean) => getPacked(commands.script, key, json) : (key: string, json: boolean) => (json ? getDocument(command, key) : getHash(command, key));

  const setOperation = (request: SetRequest, json: boolean, mark: boolean): ScriptOperation => ({
    key: request.key,
    action: mark ? 'mark' : 'set',
    etag: request.concurrency === 'last-write' ? '0' : versionOf(etagOf(request)),
    data: json ? documentData(request.value) : bytesOf(request.value),
    ttl: ttlText(request, options.ttlInSeconds),
    json,
  });
  const deleteOperation = (request: DeleteRequest, json: boolean): ScriptOperation => ({ key: request.key, action: 'delete', etag: etagOf(request) ?? '0', data: nothing, ttl: '', json });
  const asksForJson = ({ metadata }: { metadata: Record<string, string> }) => hasJson && metadata.contentType === jsonType;

  return {
    hasJson,
    ping: async () => void (await command('PING')),
    get: async (request) => read(request.key, asksForJson(request)),

    set: async (request) => {
      checkOptions(request);
      const [answer = ''] = await run([setOperation(request, asksForJson(request), request.concurrency === 'first-write')]);
      if (answer !== '') {
        const why = answer === refused ? `failed to set key ${request.key}` : answer;
        if (etagOf(request) !== undefined) throw answer === refused ? etagMismatch(why) : new AdapterError('internal', why);
        throw new AdapterError('internal', answer === refused ? why : `failed to set key ${request.key}: ${why}`);
      }
      if (request.consistency === 'strong' && replicas > 0) await command('WAIT', replicas, 1000);
    },

    delete: async (request) => {
      checkOptions(request);
      const [answer = ''] = await run([deleteOperation(request, asksForJson(request))]);
      if (answer === refused) throw etagMismatch(`failed to delete ${request.key}`);
      if (answer !== '') throw new AdapterError('internal', `failed to delete ${request.key}: ${answer}`);
    },

    transact: async (operations: TransactionOperation[], metadata) => {
      const whole = asksForJson({ metadata });
      // Everything is checked before anything is sent. The marker of first-write is not for transactions, as upstream.
      const wanted = operations.map((operation) => {
        const json = whole || asksForJson(operation);
        return operation.operation === 'upsert' ? setOperation(operation, json, false) : deleteOperation(operation, json);
      });
      const answers = await run(wanted);
      const at = answers.findIndex((answer) => answer !== '');
      if (at < 0) return;
      const { action, key } = wanted[at] as ScriptOperation;
      throw new AdapterError('internal', `failed to ${action === 'delete' ? 'delete' : 'set key'} ${key}${answers[at] === refused ? '' : `: ${answers[at]}`}`);
    },

    keysLike: async (request) => {
      if (request.pattern === '') throw emptyPattern();
      const fits = likePattern(request.pattern);
      const glob = globOf(request.pattern);
      const found = new Set<string>(); // SCAN may tell a key twice
      for (const server of await commands.masters()) {
        let cursor = '0';
        do {
          const [next, keys] = (await server.command('SCAN', cursor, 'MATCH', glob, 'COUNT', 1000)) as [RedisReply, RedisReply[]];
          for (const key of keys.map(text)) if (fits.test(key)) found.add(key);
          cursor = text(next);
        } while (cursor !== '0');
      }
      return pageOf([...found].sort(), request);
    },
  };
}

const nothing = new Uint8Array(0);
const text = (reply: RedisReply): string => (reply instanceof Uint8Array ? textOfBytes(reply) : String(reply ?? ''));

async function getHash(command: Commands['command'], key: string): Promise<GetResult> {
  let fields: RedisReply[];
  try {
    fields = (await command('HGETALL', key)) as RedisReply[];
  } catch (error) {
    if (!/WRONGTYPE/.test(textOf(error))) throw error;
    // Plain strings are what Dapr wrote before it knew etags.
    return { data: (await command('GET', key)) as Uint8Array | null };
  }
  if (fields.length === 0) return { data: null };
  let data: Uint8Array | undefined;
  let etag: string | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const name = text(fields[at] as RedisReply);
    if (name === 'data') data = fields[at + 1] as Uint8Array;
    else if (name === 'version') etag = text(fields[at + 1] as RedisReply);
  }
  if (data === undefined || etag === undefined) throw incomplete();
  return { data, etag };
}
const incomplete = () => new AdapterError('internal', "required hash field 'data' or 'version' was not found");

async function getPacked(script: RunScript, key: string, json: boolean): Promise<GetResult> {
  const [data, version, flag] = (await script(readScript, [key], [json ? 'j' : ''])) as RedisReply[];
  if (flag === undefined) return { data: null };
  if (json) return documentResult(data as RedisReply);
  if (!(data instanceof Uint8Array) || !(version instanceof Uint8Array)) throw incomplete();
  const bytes = text(flag) === 'p' ? unpack(textOfBytes(data)) : data;
  return version.length === 0 ? { data: bytes } : { data: bytes, etag: text(version) };
}

async function getDocument(command: Commands['command'], key: string): Promise<GetResult> {
  const document = await command('JSON.GET', key);
  return document === null ? { data: null } : documentResult(document);
}

function documentResult(document: RedisReply): GetResult {
  const { data = null, version } = JSON.parse(text(document)) as { data?: unknown; version?: number };
  return { data: utf8(JSON.stringify(data)), etag: version === undefined ? undefined : String(version) };
}

/** In a document a value is JSON: as it came, or bytes that are JSON, or else base64 (as daprd keeps them). */
function documentData(value: StateValue): Uint8Array {
  if ('json' in value) return utf8(value.json);
  try {
    const json = textOfBytes(value.bytes);
    JSON.parse(json);
    return value.bytes;
  } catch {
    return utf8(JSON.stringify(btoa(pack(value.bytes))));
  }
}

function argumentsOf(operation: ScriptOperation, textOnly: boolean): (string | Uint8Array)[] {
  const { data, etag, ttl } = operation;
  const packed = textOnly && !isUtf8(data);
  return [flagsOf(operation, packed), etag, packed ? pack(data) : textOnly ? textOfBytes(data) : data, ttl];
}
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    strictDecoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
};

/** The version that an etag names, as the script compares it: `02` is 2, nothing is 0. */
function versionOf(etag: string | undefined): string {
  if (etag === undefined) return '0';
  return wholeNumber(etag, 'Atoi', etagInvalid).toString();
}

function ttlText({ key, metadata }: SetRequest, byDefault: number | undefined): string {
  const given = metadata.ttlInSeconds;
  if (given === undefined || given === '') return byDefault === undefined ? '' : String(Math.max(0, byDefault));
  const seconds = wholeNumber(given, 'ParseInt', (why) => new AdapterError('invalid', `failed to parse ttl from metadata: ${why}`));
  if (seconds > longestTtl) throw new AdapterError('invalid', `failed to set key ${key} ttl: ERR invalid expire time in 'expire' command`);
  return seconds > 0n ? seconds.toString() : '0';
}

/** Go's Atoi and ParseInt: decimal, 64 bits. */
function wholeNumber(given: string, parser: string, fail: (why: string) => AdapterError): bigint {
  const why = (what: string) => fail(`strconv.${parser}: parsing ${JSON.stringify(given)}: ${what}`);
  if (!/^[+-]?\d+$/.test(given)) throw why('invalid syntax');
  const value = BigInt(given.replace(/^\+/, ''));
  if (value < int64.least || value > int64.most) throw why('value out of range');
  return value;
}

/** A glob that finds at least what the LIKE pattern finds: `?` of Redis is one byte, not one character, so `_` becomes `*`. */
function globOf(pattern: string): string {
  let glob = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i] as string;
    if (c === '%' || c === '_') glob += glob.endsWith('*') && !glob.endsWith('\\*') ? '' : '*';
    else {
      const literal = c === '\\' && i + 1 < pattern.length ? (pattern[++i] as string) : c;
      glob += /[*?[\]\\^-]/.test(literal) ? `\\${literal}` : literal;
    }
  }
  return glob;
}
