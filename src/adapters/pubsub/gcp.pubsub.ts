// pubsub.gcp.pubsub: Google Cloud Pub/Sub, one subscription for each app and topic (components-contrib/pubsub/gcp/pubsub).
import { definePubSub } from '../../blocks/pubsub/port.ts';
import { background } from '../../core/context.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { googleTokens } from '../gcp/credentials.ts';
import { connectGooglePubSub, type GooglePubSub, RpcFailure } from '../gcp/pubsub-api.ts';
import { createGooglePublisher } from '../gcp/pubsub-publisher.ts';
import { startGoogleReceiver } from '../gcp/pubsub-receiver.ts';

const prefix = 'gcp pubsub error:';
const scope = 'https://www.googleapis.com/auth/pubsub';

const metadata = schema({
  projectID: field.text().default('').describe('Project of the topics. Required'),
  consumerID: field.text().default('').describe('First part of the names of subscriptions, `<consumerID>-<topic>`; default: the app id'),
  type: field.text().default('service_account').describe('Type of the credentials'),
  identityProjectID: field.text().default('').describe('Project of the service account'),
  privateKeyID: field.text().default('').describe("Id of the service account's key. Absent: the credentials of the environment"),
  privateKey: field.text().default('').describe("The service account's private key, PEM text"),
  clientEmail: field.text().default('').describe('Name of the service account'),
  clientID: field.text().default('').describe("The service account's id"),
  authURI: field.text().default('').describe('Not used with service accounts'),
  tokenURI: field.text().default('').describe("Where tokens are asked for; default: Google's"),
  authProviderX509CertUrl: field.text().default('').describe('Not used with service accounts'),
  clientX509CertUrl: field.text().default('').describe('Not used with service accounts'),
  endpoint: field.text().default('').describe('Emulator, `host:port`; counts where there is no privateKeyID. Default: PUBSUB_EMULATOR_HOST, then Google'),
  disableEntityManagement: field.flag().default(false).describe('Topics and subscriptions are there already, none is made'),
  enableMessageOrdering: field.flag().default(false).describe('Messages with one ordering key keep their order'),
  orderingKey: field.text().default('').describe('Ordering key of what is published; the publish metadata `orderingKey` goes before it'),
  deadLetterTopic: field.text().default('').describe('Topic for messages that were refused too often; for subscriptions that are made'),
  maxDeliveryAttempts: field.integer().default(5).describe('Deliveries before a message goes to deadLetterTopic, 5 to 100'),
  ackDeadline: field.duration().default(20_000).describe('How long the service waits before it delivers again what was not acknowledged; prolonged while the app works on it'),
  maxOutstandingMessages: field.integer().default(0).describe('Messages of a subscription in hand at once; 0: 1000, negative: no limit'),
  maxOutstandingBytes: field.integer().default(0).describe('Bytes in hand at once; 0: 1 GB, negative: no limit'),
  maxConcurrentConnections: field.integer().default(0).describe('Requests for messages under way at once; 0: 1'),
  maxReconnectionAttempts: field.integer().default(30).describe('How often reading begins anew after the service refused it'),
  connectionRecoveryInSec: field.integer().default(2).describe('Seconds before it begins anew'),
});

export default definePubSub({
  type: 'pubsub.gcp.pubsub',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: [],
  summary: 'Google Cloud Pub/Sub, with one subscription for each app and topic; on Workers for publishing only.',
  metadata,
  open: async (settings, { host, log, appId, properties }) => {
    if (settings.projectID === '') throw new MetadataError(`${prefix} missing attribute projectId`);
    if (settings.ackDeadline <= 0) throw new MetadataError(`${prefix} invalid AckDeadline ${properties.ackDeadline ?? ''}. Value must be a positive Go duration string or integer`);
    const project = settings.projectID;
    const emulator = (settings.privateKeyID === '' && settings.endpoint) || host.env.PUBSUB_EMULATOR_HOST;
    const tokens = async () => {
      const key = settings.privateKeyID === '' ? undefined : { clientEmail: settings.clientEmail, privateKey: settings.privateKey, privateKeyId: settings.privateKeyID, tokenUri: settings.tokenURI };
      return googleTokens(host, key, scope).catch((error) => {
        throw new Error(`${prefix} error creating pubsub client: ${textOf(error)}`, { cause: error });
      });
    };
    const api = connectGooglePubSub(host, project, emulator ? { emulator } : { tokens: await tokens() });
    const send = createGooglePublisher(api);
    const topics = new Map<string, Promise<void>>();
    const consumerID = (properties.consumerID ?? '').trim() || appId;
    const receivers = new Set<{ close(): Promise<void> }>();
    let closed = false;

    /** Made once; forgotten when that failed. */
    const ensureTopic = (topic: string): Promise<void> => {
      const known = topics.get(topic);
      if (known !== undefined) return known;
      const made = ensure(api, `topics/${encodeURIComponent(topic)}`, {});
      topics.set(topic, made);
      made.catch(() => topics.delete(topic));
      return made;
    };
    const ensureSubscription = async (subscription: string, topic: string): Promise<void> => {
      const name = (id: string) => `projects/${project}/topics/${id}`;
      if (settings.deadLetterTopic !== '') await ensureTopic(settings.deadLetterTopic);
      await ensure(api, `subscriptions/${encodeURIComponent(subscription)}`, {
        topic: name(topic),
        ackDeadlineSeconds: Math.trunc(settings.ackDeadline / 1000),
        ...(settings.enableMessageOrdering ? { enableMessageOrdering: true } : {}),
        ...(settings.deadLetterTopic === '' ? {} : { deadLetterPolicy: { deadLetterTopic: name(settings.deadLetterTopic), maxDeliveryAttempts: settings.maxDeliveryAttempts } }),
      });
    };

    return {
      publish: async ({ topic, data, metadata = {} }) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        if (!settings.disableEntityManagement)
          await ensureTopic(topic).catch((error) => {
            throw prefixed(`${prefix} could not get valid topic ${topic}`, error);
          });
        await send(topic, settings.enableMessageOrdering ? metadata.orderingKey || settings.orderingKey : undefined, data);
      },
      subscribe: async ({ topic }, handler) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        const subscription = `${consumerID}-${topic}`;
        if (!settings.disableEntityManagement) {
          await ensureTopic(topic).catch((error) => {
            throw prefixed(`${prefix} could not get valid topic - topic:${JSON.stringify(topic)}, error`, error);
          });
          await ensureSubscription(subscription, topic).catch((error) => {
            throw prefixed(`${prefix} could not get valid subscription - consumerID:${JSON.stringify(consumerID)}, error`, error);
          });
        }
        if (closed) throw new AdapterError('invalid', 'component is closed');
        const receiver = startGoogleReceiver({
          api, subscription, log,
          maxMessages: limit(settings.maxOutstandingMessages, 1000),
          maxBytes: limit(settings.maxOutstandingBytes, 1_000_000_000),
          connections: settings.maxConcurrentConnections > 0 ? settings.maxConcurrentConnections : 1,
          // What the service takes, whatever the deadline of the subscription is.
          ackDeadlineSeconds: Math.min(600, Math.max(10, Math.trunc(settings.ackDeadline / 1000))),
          maxReconnectionAttempts: settings.maxReconnectionAttempts,
          recoveryMs: settings.connectionRecoveryInSec * 1000,
          handle: (data) => handler({ topic, data, metadata: {} }, background),
        });
        receivers.add(receiver);
        return {
          close: async () => {
            await receiver.close();
            receivers.delete(receiver);
          },
        };
      },
      close: async () => {
        closed = true;
        await Promise.all([...receivers].map((receiver) => receiver.close()));
      },
    };
  },
});

const limit = (given: number, usual: number): number => (given < 0 ? Number.POSITIVE_INFINITY : given || usual);

/** Looks whether it is there and makes it where not; that somebody else made it meanwhile is fine. */
async function ensure(api: GooglePubSub, resource: string, body: object): Promise<void> {
  const isThe = (status: string) => (error: unknown) => {
    if (!(error instanceof RpcFailure && error.status === status)) throw error;
    return undefined;
  };
  const found = await api.call('GET', resource).catch(isThe('NOT_FOUND'));
  if (found === undefined) await api.call('PUT', resource, body).catch(isThe('ALREADY_EXISTS'));
}

const prefixed = (what: string, error: unknown): AdapterError => new AdapterError(error instanceof AdapterError ? error.kind : 'invalid', `${what}: ${textOf(error)}`, error);
