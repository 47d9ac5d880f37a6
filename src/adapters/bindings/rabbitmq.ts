// bindings.rabbitmq: messages to and from one RabbitMQ queue (components-contrib/bindings/rabbitmq).
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { AdapterError } from '../../core/errors.ts';
import { field, schema } from '../../core/metadata.ts';
import { isPem, openAmqp, parseAmqpAddress } from '../rabbitmq/connection.ts';
import { startConsumer } from '../rabbitmq/consumer.ts';
import { messageProperties, strictTtl } from '../rabbitmq/message.ts';
import { createPublisher } from '../rabbitmq/publisher.ts';

export default defineBinding({
  type: 'bindings.rabbitmq',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['INPUT_BINDING', 'OUTPUT_BINDING'],
  summary: 'Sends messages to a RabbitMQ queue and receives from it.',
  metadata: schema(
    {
      host: field.text().default('').describe('`amqp://user:password@host:port/vhost`, `amqps://` with TLS. Required.'),
      queueName: field.text().default('').describe('The queue. Required.'),
      durable: field.flag().default(false).describe('The queue outlives a restart of the broker'),
      deleteWhenUnused: field.flag().default(false).describe('The queue goes with its last consumer'),
      exclusive: field.flag().default(false).describe('Only this component may use the queue; it goes with its connection'),
      prefetchCount: field.integer().default(0).describe('Messages in hand at once; 0: no limit. They reach the app one after the other in any case'),
      maxPriority: field.text().default('').describe('Highest priority of the queue, up to 255; absent: no priorities'),
      reconnectWaitInSeconds: field.duration().default(5000).describe('Pause before a new connection'),
      ttl: field.text().optional().describe('Time to live of the messages in the queue'),
      externalSasl: field.flag().default(false).describe('Sign in with the client certificate'),
      caCert: field.text().default('').describe('Certificate authority of the broker, PEM text. TLS certificates count only where all three are there'),
      clientCert: field.text().default('').describe('Client certificate, PEM text'),
      clientKey: field.text().default('').describe('Key of the client certificate, PEM text'),
    },
    { ttlInSeconds: 'ttl', saslExternal: 'externalSasl' },
  ),
  open: async (given, { host, log, properties }) => {
    const { queueName: queue, durable, exclusive, maxPriority } = given;
    if (given.host === '') throw new Error('missing host address');
    if (queue === '') throw new Error('missing queue Name');
    if (maxPriority !== '' && !/^\d+$/.test(maxPriority)) throw new Error(`can't parse maxPriority field: strconv.ParseUint: parsing "${maxPriority}": invalid syntax`);
    const names = { caCert: 'ca certificate', clientCert: 'client certificate', clientKey: 'client certificate key' } as const;
    for (const name of ['caCert', 'clientCert', 'clientKey'] as const) if (given[name] !== '' && !isPem(given[name])) throw new Error(`invalid ${names[name]}`);
    const ttl = ttlOrFail(properties, 'failed to parse TTL');
    const withTls = ![given.caCert, given.clientCert, given.clientKey].includes('');
    const tls = withTls ? { ca: given.caCert, cert: given.clientCert, key: given.clientKey } : { ca: '', cert: '', key: '' };
    const link = await openAmqp(host, { address: parseAmqpAddress(given.host), tls, external: withTls && given.externalSasl, heartbeat: 10_000, name: '' }, log);
    const args = { ...(ttl === undefined ? {} : { 'x-message-ttl': Math.trunc(ttl) }), ...(maxPriority === '' ? {} : { 'x-max-priority': Math.min(255, Number(maxPriority)) }) };
    const declare = (channel: { assertQueue(name: string, options: object): Promise<unknown> }) => channel.assertQueue(queue, { durable, exclusive, autoDelete: given.deleteWhenUnused, arguments: args });
    const publisher = createPublisher({ link, log, waitMs: given.reconnectWaitInSeconds, declare });
    try {
      // The queue is there from the start, whoever reads it.
      const channel = await link.channel('plain', () => undefined);
      await declare(channel);
      await channel.close();
    } catch (error) {
      await link.close();
      throw error;
    }
    return {
      operations: ['create'],
      invoke: async ({ data, metadata }, { signal }) => {
        const expires = ttlOrFail(metadata, 'failed to get TTL');
        const { options, wrongPriority } = messageProperties(metadata);
        if (wrongPriority !== undefined) throw new AdapterError('invalid', wrongPriority);
        await publisher.send({ exchange: '', key: queue, data, options: { ...options, deliveryMode: 2, headers: metadata, ...(expires === undefined ? {} : { expiration: String(Math.trunc(expires)) }) } }, signal).written;
        return null;
      },
      read: (handler) =>
        startConsumer({
          link, title: 'rabbitmq binding', queue, prefetch: given.prefetchCount, autoAck: false, requeueInFailure: true, concurrency: 1, reconnectWaitMs: given.reconnectWaitInSeconds, log,
          prepare: async (channel) => void (await declare(channel)),
          handle: async ({ content, properties: { headers } }) => {
            const metadata: Record<string, string> = {};
            for (const [name, value] of Object.entries((headers ?? {}) as Record<string, unknown>)) if (typeof value === 'string') metadata[queryEscape(name)] = value;
            await handler({ data: content, metadata }, background);
          },
        }),
      close: async () => {
        await publisher.close();
        await link.close();
      },
    };
  },
});

function ttlOrFail(properties: Readonly<Record<string, string>>, failing: string): number | undefined {
  try {
    return strictTtl(properties);
  } catch (error) {
    throw new AdapterError('invalid', `${failing}: ${(error as Error).message}`);
  }
}

/** Go's url.QueryEscape: names that can be HTTP headers. */
const queryEscape = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll('%20', '+');
