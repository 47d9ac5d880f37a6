// bindings.mqtt3: one topic of an MQTT 3.1.1 broker, read and written (components-contrib/bindings/mqtt3/mqtt.go).
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { field, MetadataError, property, schema } from '../../core/metadata.ts';
import { pause } from '../../core/pause.ts';
import { parseAddress, tlsOf } from '../mqtt/address.ts';
import { type MqttSession, openMqtt } from '../mqtt/session.ts';
import { hasWildcard } from '../mqtt/topics.ts';

const waitMs = 10_000;
const retryMs = 5000;

export default defineBinding({
  type: 'bindings.mqtt3',
  aliases: ['bindings.mqtt'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['INPUT_BINDING', 'OUTPUT_BINDING'],
  summary: 'A topic of an MQTT 3.1.1 broker.',
  metadata: schema({
    url: field.text().default('').describe('Address of the broker: `tcp://user:password@host:1883`, with TLS `ssl://`, over WebSocket `ws://` or `wss://`'),
    topic: field.text().default('').describe('Topic that is read, wildcards allowed, and written where a request names no other as `topic`'),
    consumerID: field.text().default('').describe('Client ids are `<consumerID>-producer` and `<consumerID>-consumer`. Two clients with one id cut each other off: with several replicas use `{uuid}` in it'),
    retain: field.flag().default(false).describe('The broker keeps the last message of each topic for later subscribers'),
    cleanSession: field.flag().default(false).describe('The broker forgets subscription and messages when the connection ends'),
    backOffMaxRetries: field.integer().default(0).describe('How often an event that the app refused is tried again, every 5 s; negative: until the app takes it. Default 0'),
    caCert: field.text().default('').describe('Certificate authority of the broker, PEM text'),
    clientCert: field.text().default('').describe('Client certificate, PEM text'),
    clientKey: field.text().default('').describe('Key of the client certificate, PEM text'),
  }),
  open: async (metadata, { log, properties }) => {
    const { url, topic, consumerID, cleanSession, retain, backOffMaxRetries } = metadata;
    if (url === '') throw new MetadataError('missing url');
    if (topic === '') throw new MetadataError('missing topic');
    if (consumerID === '') throw new MetadataError('missing consumerID');
    const tls = tlsOf(metadata, { caCert: 'invalid ca certificate', clientCert: 'invalid client certificate', clientKey: 'invalid client certificate key' });
    if (property(properties, 'qos')) log.warn("Metadata property 'qos' has been deprecated and is ignored; qos is set to 1");

    const closing = new AbortController();
    const connect = async (role: 'producer' | 'consumer'): Promise<MqttSession> => {
      if (closing.signal.aborted) throw new AdapterError('invalid', 'error: binding is closed');
      try {
        return await openMqtt({ address: parseAddress(url), tls, clientId: `${consumerID}-${role}`, cleanSession, qos: 1, log, signal: closing.signal, waitMs });
      } catch (error) {
        throw new AdapterError('unavailable', `failed to connect: ${textOf(error)}`, error);
      }
    };
    // Made for the first message; where that fails, for the next one again.
    let producer: Promise<MqttSession> | undefined;
    const theProducer = (): Promise<MqttSession> => {
      producer ??= connect('producer').catch((error) => {
        producer = undefined;
        throw new AdapterError('unavailable', `failed to create producer connection: ${textOf(error)}`, error);
      });
      return producer;
    };
    let reading: { close(): Promise<void> } | undefined;

    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }, { signal }) => {
        const to = wanted.topic || topic;
        // Brokers swallow such a message or close the connection on it.
        if (hasWildcard(to)) throw new AdapterError('invalid', `mqtt topic ${to} has wildcards: messages cannot be published to it`);
        const session = await theProducer();
        try {
          await session.publish(to, data, retain, signal);
        } catch (error) {
          throw new AdapterError('unavailable', `failed to publish: ${textOf(error)}`, error);
        }
        return null;
      },
      read: async (handler) => {
        if (reading !== undefined) throw new AdapterError('invalid', 'the subscription is already active');
        const stop = new AbortController();
        const deliver = async (message: { topic: string; data: Uint8Array }): Promise<void> => {
          for (let tries = 0; ; tries++) {
            try {
              await handler({ data: message.data, metadata: { topic: message.topic } }, background);
              return;
            } catch (error) {
              if (stop.signal.aborted || (backOffMaxRetries >= 0 && tries >= backOffMaxRetries)) throw error;
              log.error(`Error processing MQTT message on topic ${message.topic}: ${textOf(error)}. Retrying…`);
            }
            await pause(retryMs, stop.signal);
            if (stop.signal.aborted) throw new Error('input binding is closed');
          }
        };
        let session: MqttSession | undefined;
        let subscription: Awaited<ReturnType<MqttSession['subscribe']>> | undefined;
        const begin = async (): Promise<void> => {
          session = await connect('consumer');
          if (stop.signal.aborted) return;
          subscription = await session.subscribe(topic, deliver).catch(async (error) => {
            await session?.close();
            throw new AdapterError('unavailable', `failed to subscribe to topic ${topic}: ${textOf(error)}`, error);
          });
          log.info(`Subscribed to topic ${topic} (qos: 1)`);
        };
        const goOn = async (): Promise<void> => {
          while (!stop.signal.aborted) {
            await pause(retryMs, stop.signal);
            if (stop.signal.aborted) return;
            const failed = await begin().then(() => false, () => true);
            if (!failed) return;
          }
        };
        // A broker that is not there yet keeps nothing else from starting, and its events come when it is.
        let trying: Promise<void> | undefined;
        await begin().catch((error) => {
          log.error(`${textOf(error)}. Trying again until the broker is there.`);
          trying = goOn();
        });
        reading = {
          close: async () => {
            if (stop.signal.aborted) return;
            stop.abort();
            await trying;
            await subscription?.close(false); // the broker keeps what comes for the next reading
            await session?.close();
            reading = undefined;
          },
        };
        return reading;
      },
      close: async () => {
        closing.abort();
        await reading?.close();
        await (await producer?.catch(() => undefined))?.close();
      },
    };
  },
});
