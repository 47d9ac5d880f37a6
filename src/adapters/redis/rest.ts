// Redis commands over Upstash's REST protocol: JSON arrays by POST, answers in base64, so that every byte survives.
import { readBody } from '../../core/body.ts';
import { AdapterError } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { headerOf, HttpFailure, type HttpPort } from '../../core/host.ts';
import type { RedisArgument, RedisConnection, RedisReply } from './connection.ts';

export interface RestOptions {
  http: HttpPort;
  url: string;
  token: string;
  /** How often a request is tried again when no answer came. */
  maxRetries: number;
  /** Milliseconds one command may take, retries included. */
  timeoutMs: number;
  /** Reads see this client's own writes whatever replica answers. */
  readYourWrites: boolean;
}

interface Waiting {
  command: string[];
  resolve(reply: RedisReply): void;
  reject(error: AdapterError): void;
}
type Answer = { result?: unknown; error?: string };

// One request carries what was asked in the same turn, up to these limits.
const mostCommands = 200;
const mostCharacters = 500_000;

/** Arguments are text; bytes are taken as UTF-8 (what is not must be packed before). */
export function createRest(options: RestOptions): Pick<RedisConnection, 'command' | 'masters'> {
  const { origin, pathname } = new URL(options.url);
  const base = pathname.replace(/\/$/, '');
  let syncToken = '';
  let queue: Waiting[] = [];

  const post = async (path: string, body: unknown): Promise<unknown> => {
    const headers = ['Authorization', `Bearer ${options.token}`, 'Content-Type', 'application/json', 'Upstash-Encoding', 'base64', 'Accept-Encoding', 'identity'];
    if (options.readYourWrites && syncToken !== '') headers.push('upstash-sync-token', syncToken);
    const signal = AbortSignal.timeout(options.timeoutMs);
    const bytes = utf8(JSON.stringify(body));
    for (let retry = 0; ; retry++) {
      try {
        const response = await options.http.send({ method: 'POST', origin, path: `${base}${path}`, headers, body: bytes, signal });
        syncToken = headerOf(response.headers, 'upstash-sync-token') ?? syncToken;
        return parsed(textOfBytes((await readBody(response.body)).bytes), response.status);
      } catch (error) {
        if (error instanceof AdapterError) throw error;
        if (retry >= options.maxRetries || signal.aborted) {
          const late = signal.aborted || (error instanceof HttpFailure && error.kind === 'timeout');
          throw new AdapterError('unavailable', late ? `no answer from ${origin} within ${options.timeoutMs} ms` : `no answer from ${origin}: ${error instanceof Error ? error.message : String(error)}`, error);
        }
        await new Promise((resolve) => setTimeout(resolve, 50 * 2 ** retry));
      }
    }
  };

  const send = async (batch: Waiting[]): Promise<void> => {
    try {
      const single = batch.length === 1;
      const answer = await (single ? post('/', batch[0]?.command) : post('/pipeline', batch.map(({ command }) => command)));
      const answers = single || !Array.isArray(answer) ? batch.map(() => answer as Answer) : (answer as Answer[]);
      for (const [i, waiting] of batch.entries()) settle(waiting, answers[i]);
    } catch (error) {
      for (const { reject } of batch) reject(error as AdapterError);
    }
  };
  const flush = () => {
    const all = queue;
    queue = [];
    let batch: Waiting[] = [];
    let characters = 0;
    for (const waiting of all) {
      const size = waiting.command.reduce((sum, word) => sum + word.length, 0);
      if (batch.length === mostCommands || (batch.length > 0 && characters + size > mostCharacters)) {
        void send(batch);
        batch = [];
        characters = 0;
      }
      batch.push(waiting);
      characters += size;
    }
    void send(batch);
  };
  const command = (name: string, ...args: RedisArgument[]): Promise<RedisReply> =>
    new Promise((resolve, reject) => {
      if (queue.length === 0) queueMicrotask(flush);
      queue.push({ command: [name, ...args.map((arg) => (typeof arg === 'object' ? textOfBytes(arg) : String(arg)))], resolve, reject });
    });
  return { command, masters: async () => [{ command }] };
}

function settle(waiting: Waiting, answer: Answer | undefined): void {
  if (answer === undefined) waiting.reject(new AdapterError('unavailable', 'the answer has fewer results than commands'));
  else if (answer.error !== undefined) waiting.reject(new AdapterError('internal', answer.error));
  else waiting.resolve(reply(answer.result));
}

function parsed(text: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AdapterError('unavailable', `status ${status} without a JSON body`);
  }
}

/** Texts are base64, except the status OK. */
function reply(result: unknown): RedisReply {
  if (typeof result === 'string') return result === 'OK' ? utf8(result) : Uint8Array.from(atob(result), (c) => c.charCodeAt(0));
  if (Array.isArray(result)) return result.map(reply);
  return typeof result === 'number' ? result : null;
}
