// pubsub.jetstream: messages in the streams of NATS JetStream (components-contrib/pubsub/jetstream/jetstream.go).
import type { ConsumerConfig, JetStreamClient, PubAck } from '@nats-io/jetstream';
import type { ComponentContext } from '../../blocks/components/definition.ts';
import { definePubSub } from '../../blocks/pubsub/port.ts';
import { background } from '../../core/context.ts';
import { parseDuration } from '../../core/duration.ts';
import { AdapterError } from '../../core/errors.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { closeNats, connectNats, goText, loadJetStream, loadNats } from '../nats/connection.ts';
import { startConsumer } from '../nats/consumer.ts';

const publishMs = 5000;
const deliverPolicies: Record<string, ConsumerConfig['deliver_policy']> = { '': 'all', all: 'all', last: 'last', new: 'new', sequence: 'by_start_sequence', time: 'by_start_time' };
const ackPolicies: Record<string, ConsumerConfig['ack_policy']> = { all: 'all', none: 'none' };

const metadata = schema({
  natsURL: field.text().default('').describe('Addresses of the servers, comma-separated: `nats://user:password@host:4222`, `nats://token@host:4222`, `tls://host:4222`'),
  jwt: field.text().default('').describe('JWT of the user, for decentralised authentication; needs seedKey'),
  seedKey: field.text().default('').describe('Seed of the key that signs for the user of the JWT'),
  token: field.text().default('').describe('Token of the server'),
  tls_client_cert: field.text().default('').describe('Client certificate: PEM text or the path of a file'),
  tls_client_key: field.text().default('').describe('Key of the client certificate: PEM text or the path of a file'),
  name: field.text().default('').describe('Name of the connection as the server shows it. Default: dapr.io - pubsub.jetstream'),
  streamName: field.text().default('').describe('Stream that is subscribed to; default: the one that has the subject. It must be there already'),
  durableName: field.text().default('').describe('Name of a consumer that outlives this sidecar and remembers what was acknowledged. One consumer serves one topic'),
  queueGroupName: field.text().default('').describe('Sidecars that name the same group share the messages; together with durableName'),
  startSequence: field.integer().default(0).describe('First sequence that is delivered, with the deliverPolicy `sequence`'),
  startTime: field.integer().optional().describe('Unix time in seconds of the first message that is delivered, with the deliverPolicy `time`'),
  flowControl: field.flag().default(false).describe('The server waits for this sidecar when messages pile up; needs heartbeat'),
  ackWait: field.duration().default(0).describe('How long the server waits for an acknowledgement before it delivers again, default 30s; also the pause before a refused message comes again, default none'),
  maxDeliver: field.integer().default(0).describe('How often a message is delivered at most; default: until it is acknowledged'),
  backOff: field.text().default('').describe('Waiting times for acknowledgements, one for each delivery, comma-separated: 50ms,1s,10s'),
  maxAckPending: field.integer().default(0).describe('How many messages may be unacknowledged at a time; default 1000'),
  replicas: field.integer().default(0).describe("Replicas of the consumer's state; default: those of the stream"),
  memoryStorage: field.flag().default(false).describe("The consumer's state is kept in memory"),
  rateLimit: field.integer().default(0).describe('Bits per second that are delivered at most; default: no limit'),
  heartbeat: field.duration().default(0).describe('How often the server says that it is there when there are no messages'),
  deliverPolicy: field.text().default('').describe('Where a new consumer begins: all (default), last, new, sequence, time'),
  ackPolicy: field.text().default('').describe('explicit (default): each message is acknowledged; all: each also acknowledges those before; none'),
  domain: field.text().default('').describe('JetStream domain'),
  apiPrefix: field.text().default('').describe('Prefix of the JetStream API; default $JS.API'),
  concurrency: field.text().default('single').describe('single: one message of a subscription at a time; parallel: as many as maxAckPending allows. Default single'),
});

export default definePubSub({
  type: 'pubsub.jetstream',
  status: 'beta',
  runtimes: ['node', 'bun', 'deno'],
  features: [],
  summary: 'Streams of NATS JetStream.',
  metadata,
  open: async (settings, { host, log, properties }) => {
    check(settings);
    const single = concurrencyOf(settings.concurrency, properties) === 'single';
    const consumerConfig = configOf(settings);
    const { jetstream, jetstreamManager } = await loadJetStream();
    const { createInbox } = await loadNats();
    const nc = await connectNats(
      { url: settings.natsURL, name: settings.name || 'dapr.io - pubsub.jetstream', jwt: settings.jwt, seedKey: settings.seedKey, token: settings.token, clientCert: settings.tls_client_cert, clientKey: settings.tls_client_key },
      host,
      log,
    );
    const at = settings.apiPrefix !== '' ? { apiPrefix: settings.apiPrefix } : settings.domain !== '' ? { domain: settings.domain } : {};
    const js = jetstream(nc, at);
    const jsm = await jetstreamManager(nc, { ...at, checkAPI: false });
    let closed = false;
    const checkOpen = () => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
    };

    return {
      publish: async ({ topic, data }) => {
        checkOpen();
        const msgID = eventId(data);
        if (msgID === undefined) log.debug('empty message ID, Jetstream deduplication will not be possible');
        try {
          await publish(js, topic, data, msgID);
        } catch (error) {
          throw new AdapterError('unavailable', goText(error), error);
        }
      },
      subscribe: async ({ topic }, handler) => {
        checkOpen();
        try {
          const stream = settings.streamName || (await jsm.streams.find(topic));
          return await startConsumer({
            nc, jsm, stream, single, log,
            config: { ...consumerConfig, filter_subject: topic },
            nakDelayMs: settings.ackWait,
            newInbox: () => createInbox(),
            handler: (subject, data) => handler({ topic, data, metadata: { Topic: subject } }, background),
          });
        } catch (error) {
          throw new AdapterError('unavailable', goText(error), error);
        }
      },
      close: async () => {
        closed = true;
        await closeNats(nc);
      },
    };
  },
});

type Settings = ReturnType<typeof metadata.parse>;

function check({ natsURL, jwt, seedKey, tls_client_cert, tls_client_key, deliverPolicy }: Settings): void {
  const refuse = (message: string): never => { throw new MetadataError(message); };
  if (natsURL === '') refuse('missing nats URL');
  if (jwt !== '' && seedKey === '') refuse('missing seed key');
  if (jwt === '' && seedKey !== '') refuse('missing jwt');
  if (tls_client_cert !== '' && tls_client_key === '') refuse('missing tls client key');
  if (tls_client_cert === '' && tls_client_key !== '') refuse('missing tls client cert');
  if (deliverPolicies[deliverPolicy] === undefined) refuse(`deliver policy ${deliverPolicy} is not one of: all, last, new, sequence, time`);
}

/** `concurrencyMode`, which the runtime's documents name for all brokers, by its exact name; else the component's own field. */
function concurrencyOf(own: string, properties: ComponentContext['properties']): 'single' | 'parallel' {
  const general = properties.concurrencyMode;
  const mode = general || own || 'single';
  if (mode !== 'single' && mode !== 'parallel') throw new MetadataError(`invalid ${general ? 'concurrencyMode' : 'concurrency'} ${mode}`);
  return mode;
}

const nanos = (ms: number): number => Math.round(ms * 1e6);

/** What is not given is left to the server. */
function configOf(settings: Settings): Partial<ConsumerConfig> {
  const backoff = settings.backOff.split(',').map((text) => text.trim()).filter((text) => text !== '').map((text) => {
    const ms = parseDuration(text) ?? (/^\d+$/.test(text) ? Number(text) * 1000 : undefined);
    if (ms === undefined) throw new MetadataError(`metadata field backOff: '${text}' is not a duration`);
    return nanos(ms);
  });
  return {
    ...(settings.durableName ? { durable_name: settings.durableName } : {}),
    ...(settings.queueGroupName ? { deliver_group: settings.queueGroupName } : {}),
    ...(settings.startTime === undefined ? {} : { opt_start_time: new Date(settings.startTime * 1000).toISOString() }),
    ...(settings.startSequence > 0 ? { opt_start_seq: settings.startSequence } : {}),
    deliver_policy: deliverPolicies[settings.deliverPolicy] as ConsumerConfig['deliver_policy'],
    ack_policy: ackPolicies[settings.ackPolicy] ?? 'explicit',
    ...(settings.flowControl ? { flow_control: true } : {}),
    ...(settings.ackWait ? { ack_wait: nanos(settings.ackWait) } : {}),
    ...(settings.maxDeliver ? { max_deliver: settings.maxDeliver } : {}),
    ...(backoff.length > 0 ? { backoff } : {}),
    ...(settings.maxAckPending ? { max_ack_pending: settings.maxAckPending } : {}),
    ...(settings.replicas ? { num_replicas: settings.replicas } : {}),
    ...(settings.memoryStorage ? { mem_storage: true } : {}),
    ...(settings.rateLimit ? { rate_limit_bps: settings.rateLimit } : {}),
    ...(settings.heartbeat ? { idle_heartbeat: nanos(settings.heartbeat) } : {}),
  };
}

/** The id of a CloudEvent, by which the server drops what is published twice. */
function eventId(data: Uint8Array): string | undefined {
  try {
    const event: unknown = JSON.parse(new TextDecoder().decode(data));
    const id = typeof event === 'object' && event !== null ? (event as { id?: unknown }).id : undefined;
    return typeof id === 'string' && id !== '' ? id : undefined;
  } catch {
    return undefined;
  }
}

/** A stream that has just changed its leader does not answer for a moment. */
async function publish(js: JetStreamClient, topic: string, data: Uint8Array, msgID: string | undefined): Promise<PubAck> {
  for (let tries = 1; ; tries++) {
    try {
      return await js.publish(topic, data, { timeout: publishMs, ...(msgID === undefined ? {} : { msgID }) });
    } catch (error) {
      if ((error as Error).name !== 'JetStreamNotEnabled' || tries === 3) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
