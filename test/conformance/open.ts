// Opens one component as the sidecar does: by its type in the manifest, from metadata as a component file has it.
import type { Loaded } from '../../src/blocks/components/store.ts';
import type { Closable } from '../../src/blocks/components/definition.ts';
import { manifest } from '../../src/adapters/manifest.ts';
import { createNodeHttpClient } from '../../src/hosts/node/http-client.ts';
import { createNodeHost } from '../../src/hosts/node/host.ts';
import { createLogger, type Logger } from '../../src/core/log.ts';
import type { Host } from '../../src/core/host.ts';

export const lines: string[] = [];
export const testLog: Logger = createLogger({ appId: 'conformance', instance: 'test', version: 'test', write: (line) => void lines.push(line) });
export const testHost = (): Host => createNodeHost({ runtime: 'node', http: createNodeHttpClient(), address: '127.0.0.1', write: (line) => void lines.push(line) });

/** Rejects as loading would; the name is `store`. */
export async function openComponent<Port extends Closable>(type: string, metadata: Record<string, string>, options: { version?: string; initTimeoutMs?: number; host?: Host } = {}): Promise<Loaded<Port>> {
  const version = options.version ?? 'v1';
  const row = manifest.find((r) => r.type === type && (r.versions === undefined || r.versions.includes(version)));
  if (row?.load === undefined) throw new Error(`${type}/${version} is not in the manifest`);
  const definition = (await row.load()).default;
  const port = (await definition.open(definition.metadata.parse(metadata), {
    host: options.host ?? testHost(),
    log: testLog,
    name: 'store',
    appId: 'conformance',
    namespace: '',
    properties: metadata,
    signal: AbortSignal.timeout(options.initTimeoutMs ?? 5000),
  })) as Port;
  return { name: 'store', type, version, block: definition.block, features: definition.features, properties: metadata, port };
}
