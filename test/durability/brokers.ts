// The brokers of the loss test, each set so that it promises at-least-once delivery. Another one is another row.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addStream } from '../conformance/jetstream.ts';
import { azureConnectionString } from '../harness/azure-amqp.ts';
import { azuriteAccount, startAzurite } from '../harness/azurite.ts';
import { type ServerName, startContractServer, startKafka, startMosquitto, startMoto, startNats, startRabbitmq, startRedis } from '../harness/servers.ts';

export interface BrokerRow {
  name: string;
  servers: ServerName[];
  /** Messages of one producer arrive in order, apart from repeats. */
  ordered: boolean;
  /** Starts too slowly, or works too slowly, for the short run of the suite. */
  slow?: boolean;
  start(): Promise<RunningBroker>;
}
export interface RunningBroker {
  component: { type: string; metadata: Record<string, string> };
  /** Further resources, file name → document. */
  resources?: Record<string, object>;
  /** Metadata of the subscription. */
  subscription?: Record<string, string>;
  /** The server behind it, where there is one that can be killed. */
  server?: { kill(): Promise<void>; restart(): Promise<void> };
  stop(): Promise<unknown>;
}

/** For brokers that give a message up when its handler fails (daprd's Redis): the sidecar tries again until the app is back. */
const retries = {
  apiVersion: 'dapr.io/v1alpha1', kind: 'Resiliency', metadata: { name: 'loss' },
  spec: { policies: { retries: { forever: { policy: 'constant', duration: '100ms', maxRetries: -1 } } }, targets: { components: { bus: { inbound: { retry: 'forever' } } } } },
};

const eventHubs = (name: string, partitions: number, ordered: boolean): BrokerRow => ({
  name,
  servers: [],
  ordered,
  // A partition of a killed sidecar is free after a minute.
  slow: true,
  start: async () => {
    const [server, azurite] = await Promise.all([startContractServer('event-hubs', String(partitions)), startAzurite('blob')]);
    const { accountName, accountKey } = azuriteAccount;
    return {
      component: {
        type: 'pubsub.azure.eventhubs',
        metadata: {
          connectionString: azureConnectionString(server.port), storageConnectionString: `AccountName=${accountName};AccountKey=${accountKey};BlobEndpoint=${azurite.endpoint}/${accountName}`, storageContainerName: 'checkpoints',
          enableInOrderMessageDelivery: String(ordered), backOffDuration: '200ms', backOffMaxRetries: '-1',
        },
      },
      server,
      stop: () => Promise.all([server.stop('SIGKILL'), azurite.stop()]),
    };
  },
});

export const brokers: BrokerRow[] = [
  {
    name: 'sqlite',
    servers: [],
    ordered: true,
    start: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-loss-'));
      return {
        component: { type: 'pubsub.sqlite', metadata: { connectionString: join(dir, 'bus.db'), leaseTime: '1s', orderedRetryTime: '60s' } },
        stop: async () => rmSync(dir, { recursive: true, force: true }),
      };
    },
  },
  {
    name: 'redis',
    servers: ['redis'],
    ordered: false,
    start: async () => {
      const server = await startRedis({ persist: true });
      return {
        component: { type: 'pubsub.redis', metadata: { redisHost: `127.0.0.1:${server.port}`, processingTimeout: '2s', redeliverInterval: '500' } },
        resources: { 'retries.yaml': retries },
        server,
        stop: () => server.stop(),
      };
    },
  },
  {
    name: 'rabbitmq',
    servers: ['rabbitmq'],
    ordered: false,
    start: async () => {
      const server = await startRabbitmq();
      return {
        component: { type: 'pubsub.rabbitmq', metadata: { connectionString: server.url, deletedWhenUnused: 'false', deliveryMode: '2', publisherConfirm: 'true', requeueInFailure: 'true', prefetchCount: '50', reconnectWaitSeconds: '1s' } },
        server,
        stop: () => server.stop(),
      };
    },
  },
  {
    name: 'mqtt3',
    servers: ['mosquitto'],
    ordered: false,
    start: async () => {
      const server = await startMosquitto({ persist: true });
      return {
        component: { type: 'pubsub.mqtt3', metadata: { url: `tcp://127.0.0.1:${server.port}` } },
        resources: { 'retries.yaml': retries },
        // Mosquitto writes its messages down when it ends and every second, not with each acknowledgement: killed outright it may forget.
        server: { kill: () => server.kill('SIGTERM'), restart: server.restart },
        stop: () => server.stop(),
      };
    },
  },
  {
    name: 'jetstream',
    servers: ['nats'],
    ordered: false,
    start: async () => {
      const server = await startNats();
      await addStream(server.url, 'loss', ['loss']);
      return { component: { type: 'pubsub.jetstream', metadata: { natsURL: server.url, durableName: 'loss', ackWait: '1s' } }, server, stop: () => server.stop() };
    },
  },
  {
    name: 'snssqs',
    servers: ['moto'],
    ordered: false,
    slow: true,
    start: async () => {
      const moto = await startMoto();
      return {
        component: { type: 'pubsub.aws.snssqs', metadata: { endpoint: moto.endpoint, region: 'eu-west-1', accessKey: 'AKIAEXAMPLE', secretKey: 'secret', messageVisibilityTimeout: '3', messageWaitTimeSeconds: '1' } },
        // Moto has all in memory: killed, it forgets.
        stop: () => moto.stop('SIGKILL'),
      };
    },
  },
  {
    name: 'gcp',
    servers: [],
    ordered: false,
    start: async () => {
      const server = await startContractServer('google-pubsub');
      return { component: { type: 'pubsub.gcp.pubsub', metadata: { projectId: 'p1', endpoint: `127.0.0.1:${server.port}`, ackDeadline: '10s', connectionRecoveryInSec: '1' } }, server, stop: () => server.stop('SIGKILL') };
    },
  },
  {
    name: 'servicebus',
    servers: [],
    ordered: false,
    start: async () => {
      const server = await startContractServer('service-bus');
      return {
        component: { type: 'pubsub.azure.servicebus.topics', metadata: { connectionString: azureConnectionString(server.port), disableEntityManagement: 'true', minConnectionRecoveryInSec: '1', maxConnectionRecoveryInSec: '2' } },
        // The service gives a message ten deliveries: without it those of one short absence of the app.
        resources: { 'retries.yaml': retries },
        server,
        stop: () => server.stop('SIGKILL'),
      };
    },
  },
  eventHubs('eventhubs', 4, false),
  eventHubs('eventhubs-in-order', 1, true),
  {
    name: 'kafka',
    servers: ['kafka'],
    ordered: true,
    slow: true,
    start: async () => {
      const server = await startKafka({ settings: ['num.partitions=1'] });
      return {
        component: { type: 'pubsub.kafka', metadata: { brokers: server.brokers, authType: 'none', initialOffset: 'oldest', backOffDuration: '200ms', sessionTimeout: '6s', heartbeatInterval: '1s' } },
        server,
        stop: () => server.stop('SIGKILL'),
      };
    },
  },
];
