// The components of a sidecar that was given no resource folder: a state store, a pub/sub and secret stores that need no server.
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ResourceText } from '../../blocks/resources/loader.ts';
import type { Logger } from '../../core/log.ts';

/** Where the sidecar keeps what is its own: OUTRIGGER_DATA, else `~/.outrigger`. */
export const dataFolder = (env: Readonly<Record<string, string | undefined>>): string => env.OUTRIGGER_DATA || join(homedir(), '.outrigger');

/**
 * `statestore` (SQLite, a file in the data folder, shared by the apps of this user), `pubsub` (inside this process),
 * `secretstore` (environment) and, where it was started beside a `secrets.json`, `secretfile`. With `--resources-path` none of them exists.
 */
export function embeddedResources(env: Readonly<Record<string, string | undefined>>, log: Logger): ResourceText[] {
  const components = [component('pubsub', 'pubsub.in-memory', {}), component('secretstore', 'secretstores.local.env', {})];
  if (existsSync('secrets.json')) components.push(component('secretfile', 'secretstores.local.file', { secretsFile: 'secrets.json' }));
  const folder = dataFolder(env);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    components.push(component('statestore', 'state.sqlite', { connectionString: join(folder, 'state.db'), actorStateStore: 'true' }));
  } catch (error) {
    log.warn(`No folder for data (${error instanceof Error ? error.message : String(error)}): set OUTRIGGER_DATA to one, the state store keeps everything in memory until then`);
    components.push(component('statestore', 'state.in-memory', { actorStateStore: 'true' }));
  }
  return components.map((resource) => ({ file: '(embedded)', text: JSON.stringify(resource) }));
}

const component = (name: string, type: string, metadata: Record<string, string>) => ({
  apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name },
  spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })) },
});
