// Opens components from their resources: finds the definition, decodes metadata, waits for open() at most initTimeout.
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { Properties } from '../../core/metadata.ts';
import type { ComponentResource } from '../resources/kinds.ts';
import type { AnyDefinition, Manifest, ManifestRow } from './definition.ts';
import type { ComponentStore } from './store.ts';

export interface ProcessorOptions {
  host: Host;
  manifest: Manifest;
  log: Logger;
  components: ComponentStore;
  appId: string;
  namespace: string;
}

/** Opens every component in order; rejects at the first that fails without ignoreErrors. */
export async function loadComponents(resources: readonly ComponentResource[], options: ProcessorOptions): Promise<void> {
  for (const resource of resources) {
    const properties: Properties = Object.fromEntries(resource.metadata.map((m) => [m.name, String(m.value ?? '')]));
    const row = findRow(options.manifest, resource.type, resource.version);
    if (!row?.load) throw new Error(`couldn't find component ${resource.type}/${resource.version}`);
    const definition: AnyDefinition = (await row.load()).default;
    const port = await definition.open(definition.metadata.parse(properties), {
      host: options.host, log: options.log.scope('dapr.contrib'), name: resource.name, appId: options.appId, namespace: options.namespace, properties, signal: AbortSignal.timeout(resource.initTimeoutMs),
    });
    options.components.add({ name: resource.name, type: resource.type, version: resource.version, block: definition.block, features: definition.features, properties, port });
  }
}

export function findRow(manifest: Manifest, type: string, version: string): ManifestRow | undefined {
  const wanted = type.toLowerCase();
  return manifest.find((row) => (row.type === wanted || row.aliases?.includes(wanted)) && (row.versions ? row.versions.includes(version.toLowerCase() || (row.defaultVersion ?? 'v1')) : ['', 'v0', 'v1'].includes(version.toLowerCase())));
}
