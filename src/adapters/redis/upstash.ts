// Redis commands over HTTP through Upstash's own client, which knows texts only: bytes pass packed through scripts (see state-scripts.ts).
import type { Redis } from '@upstash/redis/cloudflare';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { field, MetadataError } from '../../core/metadata.ts';
import type { RedisArgument, RedisConnection, RedisReply } from './connection.ts';
import { digestOf, isUnknownScript, type RunScript } from './scripts.ts';

/** Fields for a component's schema. */
export const upstashFields = {
  url: field.text().describe('REST address of the database: https://….upstash.io'),
  token: field.text().describe('REST token of the database'),
  maxRetries: field.integer().default(3).describe('How often a request is tried again when no answer comes'),
  timeout: field.duration().default(20_000).describe('How long a request may take, retries included; default 20s'),
  readYourWrites: field.flag().default(true).describe('Reads see the own writes, whichever replica answers'),
};

export interface UpstashSettings {
  /** `https://….upstash.io` */
  url: string;
  token: string;
  maxRetries: number;
  /** Milliseconds. */
  timeout: number;
  readYourWrites: boolean;
}

export type UpstashConnection = Pick<RedisConnection, 'command' | 'masters'> & { script: RunScript };

interface Call {
  /** The script's digest, or the script itself where the server does not know it. */
  script: string;
  known: boolean;
  keys: string[];
  args: string[];
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

// One request carries the scripts called in the same turn, up to these limits (the client's own batches know no size).
const mostCalls = 200;
const mostCharacters = 500_000;

/** Arguments are text; bytes are taken as UTF-8 (what is not must be packed before). Rejects when the database does not answer PING before the signal aborts. */
export async function openUpstash({ url: given, token: secret, maxRetries, timeout, readYourWrites }: UpstashSettings, signal: AbortSignal): Promise<UpstashConnection> {
  const [url, token] = [given.trim(), secret.trim()];
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new MetadataError(`url is not an http address: '${url}'`);
  if (token === '') throw new MetadataError('missing token in metadata');
  // The client's build for Workers needs fetch and nothing else, so it serves every runtime; the one for Node reads process.env.
  const { Redis: Client } = await import('@upstash/redis/cloudflare');
  const { origin } = new URL(url);
  let opening: AbortSignal | undefined = signal;
  const client = new Client({
    url,
    token,
    retry: { retries: maxRetries, backoff: (retry) => 50 * 2 ** retry },
    signal: () => AbortSignal.any([AbortSignal.timeout(timeout), ...(opening ? [opening] : [])]),
    readYourWrites,
    automaticDeserialization: false,
    enableAutoPipelining: false,
    enableTelemetry: false,
  });
  const failure = (error: unknown) => failureOf(error, origin, timeout);

  const command = async (name: string, ...args: RedisArgument[]): Promise<RedisReply> => {
    try {
      return replyOf(await client.exec([name, ...args.map(argumentOf)]));
    } catch (error) {
      throw failure(error);
    }
  };

  let queue: Call[] = [];
  const call = (script: string, known: boolean, keys: string[], args: string[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (queue.length === 0) queueMicrotask(flush);
      queue.push({ script, known, keys, args, resolve, reject });
    });
  const flush = () => {
    const calls = queue;
    queue = [];
    for (const batch of batches(calls)) {
      send(client, batch).catch((error: unknown) => {
        for (const { reject } of batch) reject(error);
      });
    }
  };
  const script: RunScript = async (source, keys, args) => {
    const texts = args.map(argumentOf);
    const digest = await digestOf(source);
    try {
      const answer = call(digest, true, [...keys], texts).catch((error) => {
        if (isUnknownScript(error)) return call(source, false, [...keys], texts);
        throw error;
      });
      return replyOf(await answer);
    } catch (error) {
      throw failure(error);
    }
  };

  await command('PING');
  opening = undefined;
  return { command, script, masters: async () => [{ command }] };
}

async function send(client: Redis, batch: Call[]): Promise<void> {
  const [only] = batch;
  if (only !== undefined && batch.length === 1) {
    const { script, keys, args } = only;
    only.resolve(await (only.known ? client.evalsha(script, keys, args) : client.eval(script, keys, args)));
    return;
  }
  const pipeline = client.pipeline();
  for (const { script, known, keys, args } of batch) void (known ? pipeline.evalsha(script, keys, args) : pipeline.eval(script, keys, args));
  const answers = await pipeline.exec<unknown[]>({ keepErrors: true });
  for (const [i, { resolve, reject }] of batch.entries()) {
    const answer = answers[i] as { result?: unknown; error?: string } | undefined;
    if (answer === undefined) reject(new AdapterError('unavailable', 'the answer has fewer results than commands'));
    else if (answer.error !== undefined) reject(new AdapterError('internal', answer.error));
    else resolve(answer.result);
  }
}

function batches(calls: Call[]): Call[][] {
  const all: Call[][] = [];
  let batch: Call[] = [];
  let characters = 0;
  for (const call of calls) {
    const size = [call.script, ...call.keys, ...call.args].reduce((sum, word) => sum + word.length, 0);
    if (batch.length === 0 || batch.length === mostCalls || characters + size > mostCharacters) {
      batch = [];
      characters = 0;
      all.push(batch);
    }
    batch.push(call);
    characters += size;
  }
  return all;
}

const argumentOf = (arg: RedisArgument): string => (typeof arg === 'object' ? textOfBytes(arg) : String(arg));

function replyOf(result: unknown): RedisReply {
  if (typeof result === 'string') return utf8(result);
  if (Array.isArray(result)) return result.map(replyOf);
  return typeof result === 'number' ? result : null;
}

/** The client tells by names and texts what went wrong; behind the server's words it writes the whole command, values included, which nobody may see. */
function failureOf(error: unknown, origin: string, timeoutMs: number): AdapterError {
  if (error instanceof AdapterError) return error;
  const { name, cause } = error instanceof Error ? error : { name: '', cause: undefined };
  if (name === 'TimeoutError' || name === 'AbortError') return new AdapterError('unavailable', `no answer from ${origin} within ${timeoutMs} ms`, error);
  if (name === 'UpstashJSONParseError') return new AdapterError('unavailable', `the answer of ${origin} is no JSON`);
  if (name !== 'UpstashError') return new AdapterError('unavailable', `no answer from ${origin}: ${textOf(cause ?? error)}`, error);
  const message = textOf(error);
  const end = message.indexOf(', command was: [');
  const words = end < 0 ? message : message.slice(0, end);
  if (words === 'undefined') return new AdapterError('unavailable', `${origin} refused without a reason`);
  return new AdapterError(busySigns.test(words) ? 'unavailable' : 'internal', words);
}
// What passes by itself: the limits of the plan (429), and a database that is starting or moving.
const busySigns = /\b(max (daily |monthly )?requests? limit|rate limit|too many requests|LOADING|READONLY|MASTERDOWN)\b/i;
