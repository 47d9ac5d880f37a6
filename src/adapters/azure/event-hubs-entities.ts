// Event Hubs and their consumer groups, made where they are missing, through Azure Resource Manager (upstream: common/component/azure/eventhubs/entity_management.go).
import { readBody } from '../../core/body.ts';
import { textOf } from '../../core/errors.ts';
import { goStringify, textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { azureCloud } from './cloud.ts';
import type { EntraCredential } from './entra-credential.ts';
import type { EventHubsSettings } from './event-hubs-settings.ts';

export interface EventHubsEntities {
  hub(name: string): Promise<void>;
  /** Of a hub that is there. */
  consumerGroup(name: string, hub: string): Promise<void>;
}

const apiVersion = '2021-11-01';
const [lookMs, makeMs] = [5000, 15_000];
const [mostDays, mostPartitions] = [90, 1024];

/** Throws in upstream's words where something is missing. `namespace`: its host name. */
export function createEventHubsEntities(host: Host, credential: EntraCredential, settings: EventHubsSettings, namespace: string, log: Logger): EventHubsEntities {
  const { resourceGroupName, subscriptionID } = settings;
  const within = (name: string, value: number, most: number): number => {
    if (value > 0 && value <= most) return value;
    log.warn(`Property ${name} for entity management has an empty or invalid value; using the default value 1`);
    return 1;
  };
  const properties = { messageRetentionInDays: within('messageRetentionInDays', settings.messageRetentionInDays, mostDays), partitionCount: within('partitionCount', settings.partitionCount, mostPartitions) };
  if (resourceGroupName === '') throw new Error('property resourceGroupName is required for entity management');
  if (subscriptionID === '') throw new Error('property subscriptionID is required for entity management');
  const origin = azureCloud(settings.azureEnvironment).management;
  const folder = `/subscriptions/${encodeURIComponent(subscriptionID)}/resourceGroups/${encodeURIComponent(resourceGroupName)}/providers/Microsoft.EventHub/namespaces/${encodeURIComponent(namespace.split('.')[0] as string)}/eventhubs`;

  const call = async (method: 'GET' | 'PUT', path: string, body?: object): Promise<number> => {
    const { token } = await credential.token(`${origin}/.default`);
    const headers = ['Authorization', `Bearer ${token}`, 'Accept', 'application/json', ...(body === undefined ? [] : ['Content-Type', 'application/json'])];
    const answer = await host.http.send({ method, origin, path: `${path}?api-version=${apiVersion}`, headers, body: body === undefined ? null : utf8(goStringify(body)), signal: AbortSignal.timeout(method === 'GET' ? lookMs : makeMs) });
    const text = textOfBytes((await readBody(answer.body)).bytes);
    if (answer.status < 300 || (method === 'GET' && answer.status === 404)) return answer.status;
    throw new Error(`${answer.status}: ${/"message"\s*:\s*"([^"]*)"/.exec(text)?.[1] ?? text.slice(0, 200)}`);
  };
  const ensure = async (what: string, name: string, path: string, body: object): Promise<void> => {
    const failing = (verb: string) => (error: unknown) => {
      throw new Error(`failed to ${verb} ${what} ${name}: ${textOf(error)}`, { cause: error });
    };
    if ((await call('GET', path).catch(failing('retrieve'))) !== 404) return;
    await call('PUT', path, body).catch(failing('create'));
    log.info(`${what} ${name} created on Event Hub namespace ${namespace}`);
  };
  const pathOf = (hub: string) => `${folder}/${encodeURIComponent(hub)}`;
  return {
    hub: (name) => ensure('Event Hub entity', name, pathOf(name), { properties }),
    consumerGroup: (name, hub) => ensure('consumer group', name, `${pathOf(hub)}/consumergroups/${encodeURIComponent(name)}`, {}),
  };
}
