// Calls to a Consul agent over its HTTP API, set up as Consul's own client is: metadata first, then its environment variables.
import { toBase64 } from '../../core/base64.ts';
import { readBody } from '../../core/body.ts';
import { AdapterError } from '../../core/errors.ts';
import { parseBool, MetadataError } from '../../core/metadata.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { type Host, headerOf, type RawHeaders } from '../../core/host.ts';
import { readTextFile } from '../../core/text-file.ts';

export interface ConsulSettings {
  /** `host:port`, also with a scheme in front; '' means CONSUL_HTTP_ADDR, then 127.0.0.1:8500. */
  address: string;
  /** '' means http, or https where CONSUL_HTTP_SSL says so. */
  scheme: string;
  datacenter: string;
  token: string;
}
export interface ConsulAnswer {
  status: number;
  bytes: Uint8Array;
  header(name: string): string | undefined;
}
export interface Consul {
  /** `path` is escaped already. A status but 200 rejects in Consul's words, 404 resolves. */
  call(method: 'GET' | 'PUT' | 'DELETE', path: string, options: { query?: readonly string[]; body?: Uint8Array; signal?: AbortSignal | undefined }): Promise<ConsulAnswer>;
}

export async function connectConsul(settings: ConsulSettings, { env, files, http }: Host): Promise<Consul> {
  const { origin, base } = addressOf(settings.address || env.CONSUL_HTTP_ADDR || '127.0.0.1:8500', settings.scheme || (parseBool(env.CONSUL_HTTP_SSL ?? '') ? 'https' : 'http'));
  const token = settings.token || env.CONSUL_HTTP_TOKEN || '';
  const headers: RawHeaders = [...(token === '' ? [] : ['X-Consul-Token', token]), ...(env.CONSUL_HTTP_AUTH ? ['Authorization', `Basic ${toBase64(utf8(env.CONSUL_HTTP_AUTH))}`] : [])];
  const insecure = origin.startsWith('https:') && parseBool(env.CONSUL_HTTP_SSL_VERIFY ?? '') === false;
  const tls = origin.startsWith('https:') && env.CONSUL_CACERT ? { ca: await readTextFile(files, env.CONSUL_CACERT) } : undefined;
  const everywhere = settings.datacenter === '' ? [] : [`dc=${encodeURIComponent(settings.datacenter)}`];
  return {
    call: async (method, path, { query = [], body, signal }) => {
      const asked = [...everywhere, ...query].join('&');
      const target = `${base}${path}${asked === '' ? '' : `?${asked}`}`;
      const response = await http
        .send({ method, origin, path: target, headers, body: body ?? null, followRedirects: true, ...(insecure ? { insecure } : {}), ...(tls ? { tls } : {}), ...(signal ? { signal } : {}) })
        .catch((error: Error) => {
          throw new AdapterError('unavailable', `${method[0]}${method.slice(1).toLowerCase()} ${JSON.stringify(origin + target)}: ${error.message}`, error);
        });
      const { bytes } = await readBody(response.body);
      if (response.status !== 200 && response.status !== 404) throw new AdapterError(response.status >= 500 ? 'unavailable' : 'internal', `Unexpected response code: ${response.status} (${textOfBytes(bytes).trim()})`);
      return { status: response.status, bytes, header: (name) => headerOf(response.headers, name) };
    },
  };
}

function addressOf(address: string, scheme: string): { origin: string; base: string } {
  const [, given, rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/i.exec(address) ?? [];
  const chosen = given ?? scheme;
  if (chosen !== 'http' && chosen !== 'https') throw new MetadataError(`Unknown protocol scheme: ${chosen}`);
  if (!URL.canParse(`${chosen}://${rest}`)) throw new MetadataError(`wrong address of Consul: ${address}`);
  const url = new URL(`${chosen}://${rest}`);
  return { origin: url.origin, base: url.pathname.replace(/\/+$/, '') };
}
