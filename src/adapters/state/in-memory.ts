// state.in-memory: state in the memory of this process, gone with it.
import { AdapterError, etagMismatch } from '../../core/errors.ts';
import { schema } from '../../core/metadata.ts';
import { checkOptions, escapedBytesOf, etagOf, wholePrefix } from '../../blocks/state/options.ts';
import { type DeleteRequest, defineStateStore, type SetRequest } from '../../blocks/state/port.ts';
import { likePattern, pageOf } from '../../blocks/state/keys-like.ts';

interface Entry {
  data: Uint8Array;
  etag: string;
  /** Milliseconds since 1970, undefined = never. */
  expires: number | undefined;
}

const sweepEvery = 1000; // milliseconds, as upstream

export default defineStateStore({
  type: 'state.in-memory',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['ETAG', 'TRANSACTIONAL', 'TTL', 'DELETE_WITH_PREFIX', 'KEYS_LIKE'],
  summary: 'State in the memory of this process; for tests and first steps.',
  metadata: schema({}),
  open: async (_metadata, { host }) => {
    const entries = new Map<string, Entry>();
    const live = (key: string): Entry | undefined => {
      const entry = entries.get(key);
      if (entry?.expires === undefined || entry.expires > Date.now()) return entry;
      entries.delete(key);
      return undefined;
    };
    const sweep = host.background ? setInterval(() => { for (const key of entries.keys()) live(key); }, sweepEvery) : undefined;
    (sweep as { unref?(): void } | undefined)?.unref?.();

    /** Throws when the write may not happen. */
    const guard = (request: DeleteRequest) => {
      const entry = live(request.key);
      const etag = etagOf(request);
      if (etag !== undefined) {
        if (entry === undefined) throw etagMismatch(`state not exist or expired for key=${request.key}`);
        if (entry.etag !== etag) throw etagMismatch(`state etag not match for key=${request.key}: current=${entry.etag}, expect=${etag}`);
      } else if (request.concurrency === 'first-write' && entry !== undefined) throw etagMismatch('item already exists and no etag was passed');
    };
    const put = (request: SetRequest, expires: number | undefined) => entries.set(request.key, { data: escapedBytesOf(request.value), etag: crypto.randomUUID(), expires });

    return {
      get: ({ key }) => {
        const entry = live(key);
        if (entry === undefined) return { data: null };
        return { data: entry.data, etag: entry.etag, metadata: entry.expires === undefined ? undefined : { ttlExpireTime: `${new Date(entry.expires).toISOString().slice(0, 19)}Z` } };
      },
      set: async (request) => {
        checkOptions(request);
        const expires = expiry(request.metadata);
        guard(request);
        put(request, expires);
      },
      delete: async (request) => {
        checkOptions(request);
        guard(request);
        entries.delete(request.key);
      },
      transact: async (operations) => {
        // All checks run against the state before the transaction, as upstream does; then everything is applied.
        const expiries = operations.map((o) => (o.operation === 'upsert' ? expiry(o.metadata) : undefined));
        for (const operation of operations) {
          if (operation.operation === 'upsert') checkOptions(operation); // deletes pass with any word, as upstream
          guard(operation);
        }
        for (const [i, operation] of operations.entries()) {
          if (operation.operation === 'upsert') put(operation, expiries[i]);
          else entries.delete(operation.key);
        }
      },
      keysLike: async (request) => {
        const pattern = likePattern(request.pattern);
        return pageOf([...entries.keys()].filter((key) => live(key) && pattern.test(key)).sort(), request);
      },
      deleteWithPrefix: async (prefix) => {
        const whole = wholePrefix(prefix);
        let count = 0;
        for (const key of [...entries.keys()]) if (key.startsWith(whole) && !key.slice(whole.length).includes('||') && live(key)) { entries.delete(key); count++; }
        return count;
      },
      close: async () => {
        clearInterval(sweep);
        entries.clear();
      },
    };
  },
});

/** This store reads ttlInSeconds with Go's Atoi; zero and less mean no lifetime. Source: components-contrib/state/in-memory. */
function expiry(metadata: Record<string, string>): number | undefined {
  const text = metadata.ttlInSeconds;
  if (text === undefined || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw new AdapterError('invalid', `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const seconds = Number(text);
  if (Math.abs(seconds) > 2 ** 63) throw new AdapterError('invalid', `strconv.Atoi: parsing ${JSON.stringify(text)}: value out of range`);
  return seconds > 0 ? Math.min(Date.now() + seconds * 1000, 8.64e15) : undefined;
}
