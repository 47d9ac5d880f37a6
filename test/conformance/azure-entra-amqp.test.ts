// Microsoft Entra ID on AMQP: Service Bus and Event Hubs get the token as a claim of the type jwt, over TLS; what is missing is made under a token of its own.
import { execFileSync } from 'node:child_process';
import dns from 'node:dns';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { entraCredential } from '../../src/adapters/azure/entra-credential.ts';
import { entraAliases, entraFields } from '../../src/adapters/azure/entra-settings.ts';
import { createEventHubsEntities } from '../../src/adapters/azure/event-hubs-entities.ts';
import { eventHubsMetadata } from '../../src/adapters/azure/event-hubs-settings.ts';
import { createServiceBusEntities, entraAccess } from '../../src/adapters/azure/service-bus-entities.ts';
import { queuesMetadata } from '../../src/adapters/azure/service-bus-settings.ts';
import type { Binding, BindingEvent } from '../../src/blocks/bindings/port.ts';
import type { Message, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { schema } from '../../src/core/metadata.ts';
import { azuriteAccount, startAzurite } from '../harness/azurite.ts';
import { describeWithServer } from '../harness/describe.ts';
import { rerouted, startEntra } from '../harness/entra.ts';
import { startEventHubs } from '../harness/event-hubs.ts';
import { text } from '../harness/received.ts';
import { startResourceManager } from '../harness/resource-manager.ts';
import { startServiceBus, startServiceBusAdmin } from '../harness/service-bus.ts';
import { openComponent, testHost, testLog } from './open.ts';

const application = { azureTenantId: 't', azureClientId: 'c', azureClientSecret: 's' };
/** What the token is for; nobody but Entra ID can check more. */
const isFor = (audience: string) => (token: string) => (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { aud: string }).aud.replace(/\/$/, '') === audience;
const name = 'ns.servicebus.windows.net';

describeWithServer('openssl', 'Microsoft Entra ID on AMQP', () => {
  let entra: Awaited<ReturnType<typeof startEntra>>;
  let tls: { key: string; cert: string };
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-entra-'));
  const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env;
  beforeAll(async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost'], { stdio: 'ignore' });
    tls = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
    entra = await startEntra([{ tenantId: 't', clientId: 'c', secret: 's' }]);
    // The vendor's clients take certificates by the rules of the process only.
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    const { lookup } = dns;
    vi.spyOn(dns, 'lookup').mockImplementation(((host: string, ...rest: never[]) => (lookup as (...args: unknown[]) => void)(host === name ? '127.0.0.1' : host, ...rest)) as never);
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    await entra.stop();
    rmSync(folder, { recursive: true });
  });
  const hostOf = (origins: Record<string, string> = {}) => rerouted(testHost(), { 'https://login.microsoftonline.com': entra.origin, ...origins });
  const credential = () => entraCredential(schema(entraFields, entraAliases).parse(application), hostOf(), testLog);

  test('Service Bus', async () => {
    const server = await startServiceBus({ tls, jwt: isFor('https://servicebus.azure.net') });
    const { port } = await openComponent<PubSub>('pubsub.azure.servicebus.queues', { namespaceName: `${name}:${server.port}`, disableEntityManagement: 'true', ...application }, { host: hostOf() });
    const seen: Message[] = [];
    await port.subscribe({ topic: 'q', metadata: {} }, async (message) => void seen.push(message));
    await port.publish({ topic: 'q', data: Buffer.from('hello'), metadata: {} }, background);
    await expect.poll(() => seen.map(text)).toEqual(['hello']);
    expect([...server.tokenTypes]).toEqual(['jwt']);
    await port.close();
    const refused = await openComponent<PubSub>('pubsub.azure.servicebus.queues', { namespaceName: `${name}:${server.port}`, disableEntityManagement: 'true', ...application, azureClientSecret: 'wrong' }, { host: hostOf() });
    await expect(refused.port.publish({ topic: 'q', data: Buffer.from('x'), metadata: {} }, background)).rejects.toThrow('AADSTS7000215');
    await refused.port.close();
    await server.stop();
  }, 30_000);

  test('Event Hubs, with its checkpoints under a token as well', async () => {
    const [server, azurite] = await Promise.all([startEventHubs({ tls, jwt: isFor('https://eventhubs.azure.net') }), startAzurite('blob', { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') })]);
    const { accountName } = azuriteAccount;
    const host = hostOf({ [`https://${accountName}.blob.core.windows.net`]: azurite.endpoint });
    // Azurite has the account in its paths.
    const withAccount = { ...host, http: { send: (request: Parameters<typeof host.http.send>[0]) => host.http.send(request.origin.includes('.blob.core.') ? { ...request, path: `/${accountName}${request.path}` } : request) } };
    const { port } = await openComponent<Binding>('bindings.azure.eventhubs', { eventHubNamespace: `${name}:${server.port}`, eventHub: 'h', consumerID: 'g', storageAccountName: accountName, storageContainerName: 'checkpoints', ...application }, { host: withAccount });
    const events: BindingEvent[] = [];
    await port.read?.(async (event) => void events.push(event) as undefined);
    await port.invoke?.({ operation: 'create', data: Buffer.from('hello'), metadata: {} }, background);
    await expect.poll(() => events.map(text)).toEqual(['hello']);
    expect([...server.tokenTypes]).toEqual(['jwt']);
    await port.close();
    await server.stop();
    await azurite.stop();
  }, 30_000);

  test('queues and topics are made under a token', async () => {
    const admin = await startServiceBusAdmin();
    const entities = createServiceBusEntities(hostOf({ [`https://${name}`]: admin.url }), name, entraAccess(await credential()), queuesMetadata.parse({}));
    await entities.queue('orders');
    expect([...admin.there.keys()]).toEqual(['/orders']);
    const [, token] = /^Bearer (.+)$/.exec(admin.requests[0]?.authorization ?? '') ?? [];
    expect(isFor('https://servicebus.azure.net')(token ?? '')).toBe(true);
    await admin.stop();
  });

  test('Event Hubs and consumer groups are made through Azure Resource Manager', async () => {
    const manager = await startResourceManager(isFor('https://management.azure.com'));
    const settings = eventHubsMetadata.parse({ resourceGroupName: 'group', subscriptionID: 'sub', partitionCount: '4', messageRetentionInDays: '99' });
    const entities = createEventHubsEntities(hostOf({ 'https://management.azure.com': manager.url }), await credential(), settings, name, testLog);
    await entities.hub('orders');
    await entities.hub('orders');
    await entities.consumerGroup('app', 'orders');
    const hub = '/subscriptions/sub/resourceGroups/group/providers/Microsoft.EventHub/namespaces/ns/eventhubs/orders';
    expect(manager.requests).toEqual([`GET ${hub}`, `PUT ${hub}`, `GET ${hub}`, `GET ${hub}/consumergroups/app`, `PUT ${hub}/consumergroups/app`]);
    expect(Object.fromEntries(manager.there)).toEqual({ [hub]: { properties: { messageRetentionInDays: 1, partitionCount: 4 } }, [`${hub}/consumergroups/app`]: {} });
    await expect(entities.hub('forbidden')).rejects.toThrow('failed to retrieve Event Hub entity forbidden: 403: not allowed');
    await manager.stop();
  });
});
