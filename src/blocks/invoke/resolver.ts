// Which name resolver the sidecar uses, and opening it (Dapr: pkg/runtime/runtime.go initNameResolution).
import { textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { Configuration } from '../resources/kinds.ts';
import type { Resolution } from './addresses.ts';
import type { Instance, NameResolverManifest } from './port.ts';

export interface ResolverOptions {
  configuration: Configuration['nameResolution'];
  mode: 'standalone' | 'kubernetes';
  manifest: NameResolverManifest;
  host: Host;
  log: Logger;
  self: Instance;
}

/** Never rejects: what is wrong is logged, and calls say it again. */
export async function openResolver({ configuration, mode, manifest, host, log, self }: ResolverOptions): Promise<Resolution> {
  const name = configuration?.component || (mode === 'kubernetes' ? 'kubernetes' : 'mdns');
  const version = configuration?.version || 'v1';
  const label = `nr (${name}/${version})`;
  const type = `nameresolution.${name.toLowerCase()}`;
  const row = manifest.find((one) => one.type === type || one.aliases?.includes(type));
  if (row?.load === undefined || (version !== 'v1' && version !== 'v0')) {
    const reason = row !== undefined && row.load === undefined ? `name resolver ${name} does not run on ${host.runtime}` : `couldn't find name resolver ${name}/${version}`;
    log.error(`[CREATE_COMPONENT_FAILURE]: initialization error occurred for ${label}: ${reason}`);
    return { state: 'absent' };
  }
  try {
    const { default: definition } = await row.load();
    const resolver = await definition.open(configuration?.configuration ?? {}, { host, log: log.scope('dapr.contrib'), self });
    log.info(`Initialized name resolution to ${name}`);
    return { state: 'ready', resolver };
  } catch (error) {
    log.error(`[INIT_COMPONENT_FAILURE]: initialization error occurred for ${label}: ${textOf(error)}`);
    return { state: 'failed' };
  }
}
