// state.upstash.redis: the data of state.redis through Upstash's REST API, for runtimes without lasting sockets. Not a component of Dapr.
import { MetadataError, field, schema } from '../../core/metadata.ts';
import { defineStateStore } from '../../blocks/state/port.ts';
import { openRedisState } from '../redis/state-format.ts';
import { openUpstash } from '../redis/upstash.ts';

export default defineStateStore({
  type: 'state.upstash.redis',
  status: 'beta',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['ETAG', 'TRANSACTIONAL', 'TTL', 'KEYS_LIKE'],
  summary: 'State in Upstash Redis over HTTP; a sidecar with state.redis on the same database reads and writes the same keys.',
  metadata: schema({
    url: field.text().describe('REST address of the database: https://….upstash.io'),
    token: field.text().describe('REST token of the database'),
    ttlInSeconds: field.integer().optional().describe('Lifetime in seconds of values saved without one; default: they stay'),
    maxRetries: field.integer().default(3).describe('How often a request is tried again when no answer comes'),
    timeout: field.duration().default(20_000).describe('How long a request may take, retries included; default 20s'),
    readYourWrites: field.flag().default(true).describe('Reads see the own writes, whichever replica answers'),
  }),
  open: async ({ url, token, ttlInSeconds, maxRetries, timeout, readYourWrites }, { signal }) => {
    if (!URL.canParse(url) || !/^https?:/.test(url)) throw new MetadataError(`url is not an http address: '${url}'`);
    if (token.trim() === '') throw new MetadataError('missing token in metadata');
    const connection = await openUpstash({ url: url.trim(), token: token.trim(), maxRetries, timeoutMs: timeout, readYourWrites, signal });
    const state = await openRedisState(connection, { ttlInSeconds, textOnly: true, waitForReplicas: false });
    return { ...state, close: async () => undefined };
  },
});
