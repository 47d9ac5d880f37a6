// state.consul: values in the key/value store of HashiCorp Consul. No etags, no transactions, no lifetimes.
import { fromBase64 } from '../../core/base64.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { field, schema } from '../../core/metadata.ts';
import { escapedBytesOf } from '../../blocks/state/options.ts';
import { defineStateStore } from '../../blocks/state/port.ts';
import { connectConsul } from '../consul/client.ts';

export default defineStateStore({
  type: 'state.consul',
  aliases: ['state.hashicorp.consul'],
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: [],
  summary: "State in HashiCorp Consul's key/value store, without etags, transactions and lifetimes.",
  metadata: schema({
    httpAddr: field.text().default('').describe('Address of the agent, host:port; default: CONSUL_HTTP_ADDR of the environment, then 127.0.0.1:8500'),
    scheme: field.text().default('').describe('http or https; default: http, or https where CONSUL_HTTP_SSL is true'),
    datacenter: field.text().default('').describe('Datacenter; default: the one of the agent'),
    aclToken: field.text().default('').describe('ACL token; default: CONSUL_HTTP_TOKEN of the environment'),
    keyPrefixPath: field.text().default('').describe('Folder of the keys; default: dapr'),
  }),
  open: async ({ httpAddr, scheme, datacenter, aclToken, keyPrefixPath }, { host }) => {
    const consul = await connectConsul({ address: httpAddr, scheme, datacenter, token: aclToken }, host);
    // upstream forgets a prefix that is given, and then cannot write
    const folder = keyPrefixPath.replace(/^\/+|\/+$/g, '') || 'dapr';
    const path = (key: string) => `/v1/kv/${[...folder.split('/'), ...key.split('/')].map(escaped).join('/')}`;
    const failed = (verb: string, key: string) => (error: unknown) => {
      throw new AdapterError(error instanceof AdapterError ? error.kind : 'internal', `couldn't ${verb} key ${folder}/${key}: ${textOf(error)}`, error);
    };
    return {
      get: async ({ key, consistency }, { signal }) => {
        const answer = await consul.call('GET', path(key), { ...(consistency === 'strong' ? { query: ['consistent'] } : {}), signal });
        if (answer.status === 404) return { data: null };
        const [entry] = JSON.parse(textOfBytes(answer.bytes)) as { Value?: string | null }[];
        return { data: entry?.Value ? fromBase64(entry.Value) : new Uint8Array(0), etag: answer.header('x-consul-contenthash') ?? '' };
      },
      set: async ({ key, value }, { signal }) => void (await consul.call('PUT', path(key), { body: escapedBytesOf(value), signal }).catch(failed('set', key))),
      delete: async ({ key }, { signal }) => void (await consul.call('DELETE', path(key), { signal }).catch(failed('delete', key))),
      close: async () => undefined,
    };
  },
});

/** Escaped, also where it would be a step up in the path. */
const escaped = (segment: string): string => (segment === '.' || segment === '..' ? segment.replaceAll('.', '%2E') : encodeURIComponent(segment));
