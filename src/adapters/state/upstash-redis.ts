// state.upstash.redis: the data of state.redis through Upstash's REST API, for runtimes without lasting sockets. Not a component of Dapr.
import { field, schema } from '../../core/metadata.ts';
import { defineStateStore } from '../../blocks/state/port.ts';
import { openRedisState } from '../redis/state-format.ts';
import { openUpstash, upstashFields } from '../redis/upstash.ts';

export default defineStateStore({
  type: 'state.upstash.redis',
  status: 'beta',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['ETAG', 'TRANSACTIONAL', 'TTL', 'KEYS_LIKE'],
  summary: 'State in Upstash Redis over HTTP; a sidecar with state.redis on the same database reads and writes the same keys.',
  metadata: schema({
    ...upstashFields,
    ttlInSeconds: field.integer().optional().describe('Lifetime in seconds of values saved without one; default: they stay'),
  }),
  open: async ({ ttlInSeconds, ...settings }, { signal }) => {
    const connection = await openUpstash(settings, signal);
    const state = await openRedisState(connection, { ttlInSeconds, textOnly: true, waitForReplicas: false });
    return { ...state, close: async () => undefined };
  },
});
