// pubsub.mqtt3: messages on the topics of an MQTT 3.1.1 broker (components-contrib/pubsub/mqtt3/mqtt.go).
import { background } from '../../core/context.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { goQuote } from '../../core/go-quote.ts';
import { field, isTruthy, MetadataError, parseBool, schema } from '../../core/metadata.ts';
import { definePubSub } from '../../blocks/pubsub/port.ts';
import { type MqttAddress, parseAddress, tlsOf } from '../mqtt/address.ts';
import { openMqtt, type Qos } from '../mqtt/session.ts';
import { hasWildcard } from '../mqtt/topics.ts';

const waitMs = 20_000;

export default definePubSub({
  type: 'pubsub.mqtt3',
  aliases: ['pubsub.mqtt'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['SUBSCRIBE_WILDCARDS'],
  summary: 'An MQTT 3.1.1 broker.',
  metadata: schema({
    url: field.text().default('').describe('Address of the broker: `tcp://user:password@host:1883`, with TLS `ssl://`, over WebSocket `ws://` or `wss://`'),
    consumerID: field.text().default('').describe('Client id; default: the app id. Two clients with one id cut each other off: with several replicas use `{uuid}` in it'),
    qos: field.integer().default(1).describe('Quality of service of messages and subscriptions: 0 at most once, 1 at least once, 2 exactly once on each leg. Default 1'),
    retain: field.flag().default(false).describe('The broker keeps the last message of each topic for later subscribers; `retain` in the metadata of a message goes before it'),
    cleanSession: field.flag().default(false).describe('The broker forgets subscriptions and messages when the connection ends'),
    caCert: field.text().default('').describe('Certificate authority of the broker, PEM text'),
    clientCert: field.text().default('').describe('Client certificate, PEM text'),
    clientKey: field.text().default('').describe('Key of the client certificate, PEM text'),
  }),
  open: async (metadata, { log, signal }) => {
    const { url, consumerID, qos, cleanSession } = metadata;
    if (url === '') throw new MetadataError('missing url');
    if (qos < 0 || qos > 2) throw new MetadataError(`invalid qos ${qos}`);
    if (consumerID === '') throw new MetadataError('missing consumerID');
    const tls = tlsOf(metadata, { caCert: 'invalid TLS configuration: invalid caCert', clientCert: 'invalid TLS configuration: invalid clientCert', clientKey: 'invalid TLS configuration: invalid clientKey' });
    const failed = (error: unknown) => new AdapterError('unavailable', `failed to establish connection to broker: ${textOf(error)}`, error);
    let address: MqttAddress;
    try {
      address = parseAddress(url);
    } catch (error) {
      throw failed(error);
    }
    const session = await openMqtt({ address, tls, clientId: consumerID, cleanSession, qos: qos as Qos, log, signal, waitMs }).catch((error) => { throw failed(error); });
    let closed = false;
    const checkOpen = () => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
    };

    return {
      publish: async ({ topic, data, metadata: wanted }, { signal: caller }) => {
        checkOpen();
        if (topic === '') throw new AdapterError('invalid', 'topic name is empty');
        // Brokers swallow such a message or close the connection on it.
        if (hasWildcard(topic)) throw new AdapterError('invalid', `mqtt topic ${topic} has wildcards: messages cannot be published to it`);
        const asked = wanted?.retain;
        const retain = asked ? parseBool(asked) : metadata.retain;
        if (retain === undefined) throw new AdapterError('invalid', `mqtt invalid retain ${asked}, strconv.ParseBool: parsing ${goQuote(asked as string)}: invalid syntax`);
        try {
          await session.publish(topic, data, retain, caller);
        } catch (error) {
          throw new AdapterError('unavailable', `failed to publish: ${textOf(error)}`, error);
        }
      },
      subscribe: async ({ topic, metadata: wanted }, handler) => {
        checkOpen();
        if (topic === '') throw new AdapterError('invalid', 'topic name is empty');
        const subscription = await session
          .subscribe(topic, (message) => handler({ topic: message.topic, data: message.data, metadata: { retained: String(message.retained) } }, background))
          .catch((error) => { throw new AdapterError('unavailable', `mqtt error from subscribe: ${textOf(error)}`, error); });
        log.info(`MQTT is subscribed to topic ${topic} (qos: ${qos})`);
        return { close: () => subscription.close(cleanSession || isTruthy(wanted.unsubscribeOnClose)) };
      },
      close: async () => {
        closed = true;
        await session.close();
      },
    };
  },
});
