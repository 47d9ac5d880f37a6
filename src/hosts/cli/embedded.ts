// The components of a sidecar that was given no resource folder: a state store, a pub/sub and others that need no server.
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ResourceText } from '../../blocks/resources/loader.ts';
import type { Logger } from '../../core/log.ts';

/** Where the sidecar keeps what is its own: OUTRIGGER_DATA, else `~/.outrigger`. */
export const dataFolder = (env: Readonly<Record<string, string | undefined>>): string => env.OUTRIGGER_DATA || join(homedir(), '.outrigger');

/**
 * `statestore`, `lockstore` and `pubsub` (SQLite, files in the data folder, shared by the apps of this user), `secretstore`
 * (environment), `configstore` (the `configuration.json` it was started beside, else without items) and, beside a `secrets.json`,
 * `secretfile`. With `--resources-path` none of them exists.
 */
export function embeddedResources(env: Readonly<Record<string, string | undefined>>, log: Logger): ResourceText[] {
  const components = [component('secretstore', 'secretstores.local.env', {})];
  if (existsSync('secrets.json')) components.push(component('secretfile', 'secretstores.local.file', { secretsFile: 'secrets.json' }));
  components.push(existsSync('configuration.json') ? component('configstore', 'configuration.local.file', { file: 'configuration.json' }) : component('configstore', 'configuration.in-memory', {}));
  const folder = dataFolder(env);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const connectionString = join(folder, 'state.db');
    components.push(component('statestore', 'state.sqlite', { connectionString, actorStateStore: 'true' }), component('lockstore', 'lock.sqlite', { connectionString }), component('pubsub', 'pubsub.sqlite', { connectionString: join(folder, 'pubsub.db') }));
  } catch (error) {
    log.warn(`No folder for data (${error instanceof Error ? error.message : String(error)}): set OUTRIGGER_DATA to one, state, locks and messages are kept in memory until then`);
    components.push(component('statestore', 'state.in-memory', { actorStateStore: 'true' }), component('lockstore', 'lock.in-memory', {}), component('pubsub', 'pubsub.in-memory', {}));
  }
  return components.map((resource) => ({ file: '(embedded)', text: JSON.stringify(resource) }));
}

const component = (name: string, type: string, metadata: Record<string, string>) => ({
  apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name },
  spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })) },
});
