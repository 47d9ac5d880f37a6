// pubsub.rabbitmq: an exchange per topic, a queue per subscriber (components-contrib/pubsub/rabbitmq).
import type { ConsumeMessage } from 'amqplib';
import { AdapterError, textOf } from '../../core/errors.ts';
import { background } from '../../core/context.ts';
import { field, type Properties, schema } from '../../core/metadata.ts';
import { definePubSub, type Message } from '../../blocks/pubsub/port.ts';
import { ttlOf } from '../../blocks/pubsub/ttl.ts';
import { type AmqpAddress, isPem, openAmqp, parseAmqpAddress } from '../rabbitmq/connection.ts';
import { startConsumer } from '../rabbitmq/consumer.ts';
import { messageProperties, strictTtl } from '../rabbitmq/message.ts';
import { createPublisher } from '../rabbitmq/publisher.ts';
import { declareExchange, declareSubscription, queueArguments } from '../rabbitmq/topology.ts';

const prefix = 'rabbitmq pub/sub error:';

const metadata = schema(
  {
    connectionString: field.text().default('').describe('`amqp://user:password@host:port/vhost`, `amqps://` with TLS. Or the parts: protocol, hostname, username, password.'),
    protocol: field.text().default('').describe('`amqp` or `amqps`; default `amqp`'),
    hostname: field.text().default('localhost').describe('Host, with a port if need be'),
    username: field.text().default('').describe('User'),
    password: field.text().default('').describe('Password'),
    consumerID: field.text().default('').describe('First part of the names of queues, `<consumerID>-<topic>`; default is the app id'),
    durable: field.flag().default(true).describe('Exchanges and queues outlive a restart of the broker'),
    deletedWhenUnused: field.flag().default(true).describe('Queues go with their last consumer. Set it to false where messages must wait for a subscriber that is away'),
    autoAck: field.flag().default(false).describe('Messages count as handled once they are sent'),
    deliveryMode: field.integer().default(0).describe('0 and 1: messages live in memory; 2: they outlive a restart of the broker'),
    requeueInFailure: field.flag().default(false).describe('Failed messages go back to the queue; otherwise to the dead-letter exchange, or nowhere'),
    prefetchCount: field.integer().default(0).describe('Messages a subscription may have in hand; 0: no limit'),
    reconnectWaitSeconds: field.duration().default(3000).describe('Pause before a new connection'),
    maxLen: field.integer().default(0).describe('Messages a queue may hold; 0: no limit'),
    maxLenBytes: field.integer().default(0).describe('Bytes a queue may hold; 0: no limit'),
    exchangeKind: field.text().default('fanout').describe('`fanout`, `topic`, `direct` or `headers`'),
    publisherConfirm: field.flag().default(false).describe('A publish is answered once the broker has taken the message. Without it the answer comes when the message is sent, and what is on its way when sidecar and broker end is lost'),
    enableDeadLetter: field.flag().default(false).describe('Failed messages go to the queue `dlq-<queue>` through the exchange `dlx-<queue>`'),
    clientName: field.text().default('').describe('Name of the connection in the broker'),
    heartBeat: field.duration().default(10_000).describe('How often both sides give a sign of life'),
    ttlInSeconds: field.text().optional().describe('Time to live of messages that bring none of their own'),
    saslExternal: field.flag().default(false).describe('Sign in with the client certificate; needs caCert, clientCert and clientKey'),
    caCert: field.text().default('').describe('Certificate authority of the broker, PEM text'),
    clientCert: field.text().default('').describe('Client certificate, PEM text'),
    clientKey: field.text().default('').describe('Key of the client certificate, PEM text'),
    publishMessagePropertiesToMetadata: field.flag().default(false).describe('Message properties and headers reach the app as headers `metadata.<name>`'),
    concurrencyMode: field.text().default('parallel').describe('`single`: a subscription handles one message after the other'),
  },
  { host: 'connectionString' },
);

export default definePubSub({
  type: 'pubsub.rabbitmq',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['MESSAGE_TTL'],
  summary: 'RabbitMQ over AMQP 0-9-1, with the exchanges and queues of daprd.',
  metadata,
  open: async (given, { host, log, appId, properties }) => {
    const { deliveryMode, exchangeKind, publisherConfirm, reconnectWaitSeconds: reconnectWaitMs, autoAck } = given;
    const settings = {
      address: addressOf(given), external: given.saslExternal, heartbeat: given.heartBeat, name: given.clientName,
      tls: { ca: given.caCert, cert: given.clientCert, key: given.clientKey },
    };
    if (deliveryMode < 0 || deliveryMode > 2) throw new Error(`${prefix} invalid RabbitMQ delivery mode, accepted values are between 0 and 2`);
    if (!['fanout', 'topic', 'direct', 'headers'].includes(exchangeKind)) throw new Error(`${prefix} invalid RabbitMQ exchange kind ${exchangeKind}`);
    const defaultTtl = defaultTtlOf(properties);
    for (const name of ['caCert', 'clientCert', 'clientKey'] as const) if (given[name] !== '' && !isPem(given[name])) throw new Error(`${prefix} invalid TLS configuration: invalid ${name}`);
    if (given.saslExternal && [given.caCert, given.clientCert, given.clientKey].includes('')) throw new Error('saslExternal can only be set to true, when all these properties are set: caCert, clientCert, clientKey');
    const mode = properties.concurrencyMode || 'parallel';
    if (mode !== 'single' && mode !== 'parallel') throw new Error(`invalid concurrencyMode ${mode}`);
    const consumerId = (properties.consumerID ?? '').trim() || appId;

    const link = await openAmqp(host, settings, log);
    let closed = false;
    const publisher = createPublisher({ link, log, waitMs: reconnectWaitMs, declare: (channel, topic) => declareExchange(channel, topic, given) });

    return {
      publish: async ({ topic, data, metadata: message = {} }, { signal }) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        const ttl = ttlOf(message) ?? defaultTtl;
        const { options, wrongPriority } = messageProperties(message);
        if (wrongPriority !== undefined) log.warn(`rabbitmq pub/sub: publishing to ${topic} failed to parse priority: ${wrongPriority}, it is ignored.`);
        const all = { ...options, ...(deliveryMode > 0 ? { deliveryMode } : {}), ...(ttl === undefined ? {} : { expiration: String(Math.trunc(ttl)) }) };
        const sent = publisher.send({ exchange: topic, key: message.routingKey ?? '', data, options: all }, signal);
        await (publisherConfirm ? sent.confirmed : sent.written);
      },

      subscribe: async ({ topic, metadata: wanted }, handler) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        const queue = wanted.queueName || `${consumerId}-${topic}`;
        queueArguments(given, wanted, queue); // throws before anything is declared
        return startConsumer({
          link, title: 'rabbitmq pub/sub', queue, autoAck, reconnectWaitMs, log, prefetch: given.prefetchCount, requeueInFailure: given.requeueInFailure,
          // Without a prefetch count the broker sends all it has: not more of that is with the app at once than this host carries.
          concurrency: mode === 'single' ? 1 : host.maxParallel,
          prepare: (channel) => declareSubscription(channel, topic, queue, given, wanted),
          handle: (message) => handler(messageOf(topic, message, given.publishMessagePropertiesToMetadata), background),
        });
      },

      close: async () => {
        closed = true;
        await publisher.close();
        await link.close();
      },
    };
  },
});

function defaultTtlOf(properties: Properties): number | undefined {
  try {
    return strictTtl(properties);
  } catch (error) {
    throw new Error(`${prefix} parse RabbitMQ ttl metadata with error: ${textOf(error)}`);
  }
}

function addressOf({ connectionString, protocol, hostname, username, password }: { connectionString: string; protocol: string; hostname: string; username: string; password: string }): AmqpAddress {
  if (connectionString === '') {
    const user = username === '' ? '' : `${encodeURIComponent(username)}${password === '' ? '' : `:${encodeURIComponent(password)}`}@`;
    return parseAmqpAddress(`${protocol || 'amqp'}://${user}${hostname}`);
  }
  let address: AmqpAddress;
  try {
    address = parseAmqpAddress(connectionString);
  } catch (error) {
    throw new Error(`${prefix} invalid connection string, err: ${textOf(error)}`);
  }
  if (protocol !== '' && protocol !== address.protocol) throw new Error(`${prefix} protocol does not match connection string, protocol: ${protocol}`);
  return address;
}

function messageOf(topic: string, { content, properties }: ConsumeMessage, withProperties: boolean): Message {
  const metadata: Record<string, string> = {};
  if (withProperties) {
    const { messageId, correlationId, type, contentType, headers } = properties;
    for (const [name, value] of Object.entries({ messageid: messageId, correlationid: correlationId, type, contenttype: contentType })) if (value) metadata[`metadata.${name}`] = String(value);
    for (const [name, value] of Object.entries((headers ?? {}) as Record<string, unknown>)) {
      if (value === null || value === undefined) continue;
      metadata[`metadata.${name}`] = value instanceof Uint8Array ? new TextDecoder().decode(value) : typeof value === 'object' ? JSON.stringify(value) : String(value);
    }
  }
  return { topic, data: content, metadata };
}
