// A client of an MQTT 3.1.1 broker that all MQTT components share (client: MQTT.js).
import type { IPublishPacket, MqttClient } from 'mqtt';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { MqttAddress, MqttTls } from './address.ts';
import { createInbox, type MqttHandler } from './inbox.ts';

export type Qos = 0 | 1 | 2;

export interface MqttOptions {
  address: MqttAddress;
  tls: MqttTls;
  clientId: string;
  cleanSession: boolean;
  qos: Qos;
  log: Logger;
  /** Ends the wait for the first connection. */
  signal: AbortSignal;
  /** How long anything may wait for the broker. */
  waitMs: number;
  /** For tests; default 60 s. */
  redeliverAfterMs?: number;
}

export interface MqttSession {
  /** Resolves when the broker has it (with QoS 0: when it is on its way); rejects with Go's words after waitMs. */
  publish(topic: string, data: Uint8Array, retain: boolean, signal?: AbortSignal): Promise<void>;
  /** Resolves when the broker has confirmed. `unsubscribe` at close: the broker forgets the subscription; otherwise it keeps messages for the next one. */
  subscribe(filter: string, handler: MqttHandler): Promise<{ close(unsubscribe: boolean): Promise<void> }>;
  close(): Promise<void>;
}

const reconnectMs = 1000;
const closingMs = 1000;

/** Resolves when connected; tries again every second until then. */
export async function openMqtt({ address, tls, clientId, cleanSession, qos, log, signal, waitMs, redeliverAfterMs }: MqttOptions): Promise<MqttSession> {
  const { default: mqtt } = await import('mqtt');
  // Which packet identifier a publish got, so that one nobody waits for any more can be taken back.
  const ids = new mqtt.UniqueMessageIdProvider();
  let allocated: number | null = null;
  const client: MqttClient = mqtt.connect(address.url, {
    protocolId: 'MQTT',
    protocolVersion: 4,
    clientId,
    clean: cleanSession,
    keepalive: 30,
    connectTimeout: 30_000,
    reconnectPeriod: reconnectMs,
    reconnectOnConnackError: true,
    queueQoSZero: true,
    messageIdProvider: {
      allocate: () => (allocated = ids.allocate()),
      getLastAllocated: () => ids.getLastAllocated(),
      register: (id) => ids.register(id),
      deallocate: (id) => ids.deallocate(id),
      clear: () => ids.clear(),
    },
    ...(address.username === '' ? {} : { username: address.username }),
    ...(address.password === '' ? {} : { password: address.password }),
    ...tls,
  });

  const inbox = createInbox({
    log,
    ...(redeliverAfterMs === undefined ? {} : { redeliverAfterMs }),
    // PUBACK, or PUBREC, after which the library does the rest
    acknowledge: (id, level) => void (client.connected && client.stream.write(Uint8Array.of(level === 1 ? 0x40 : 0x50, 2, id >> 8, id & 0xff))),
  });
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'connack' && packet.returnCode === 0) inbox.connected(packet.sessionPresent);
    if (packet.cmd !== 'publish') return;
    const { topic, payload, retain, qos: level, messageId = 0, dup } = packet as IPublishPacket;
    inbox.take({ topic, data: bytesOf(payload), retained: retain, qos: level, id: level === 0 ? 0 : messageId, again: dup });
    // The library would acknowledge it at once, and take the next one only then: to it the message is one that needs no acknowledging.
    packet.qos = 0;
  });

  let trouble: string | undefined;
  let lost = false;
  client.on('error', (error) => { trouble = textOf(error); });
  client.on('connect', () => {
    if (lost) log.info('Connected to the broker again');
    lost = false;
    trouble = undefined;
  });
  client.on('offline', () => {
    if (!lost) log.error(`Connection with broker lost; error: ${trouble ?? 'EOF'}`);
    lost = true;
  });

  try {
    await within(new Promise<void>((resolve) => void client.once('connect', () => resolve())), waitMs, signal);
  } catch (error) {
    client.end(true);
    throw new AdapterError('unavailable', trouble === undefined ? textOf(error) : `${textOf(error)}: ${trouble}`, error);
  }

  return {
    publish: async (topic, data, retain, callSignal) => {
      allocated = null;
      const sent = client.publishAsync(topic, Buffer.from(data.buffer, data.byteOffset, data.byteLength), { qos, retain });
      const id = allocated;
      sent.catch(() => undefined);
      try {
        await within(sent, waitMs, callSignal);
      } catch (error) {
        // The caller was told that it failed: it must not go out hours later, with all the others of an outage.
        if (id !== null) client.removeOutgoingMessage(id);
        throw error;
      }
    },
    subscribe: async (filter, handler) => {
      const reader = inbox.add(filter, handler);
      try {
        await within(client.subscribeAsync(filter, { qos }), waitMs);
      } catch (error) {
        await reader.close();
        throw error;
      }
      return {
        close: async (unsubscribe) => {
          await reader.close();
          if (!unsubscribe || !client.connected) return;
          await within(client.unsubscribeAsync(filter), waitMs).catch((error) => log.warn(`Failed to unsubscribe from topic ${filter}: ${textOf(error)}`));
        },
      };
    },
    close: async () => {
      inbox.close();
      await within(client.endAsync(), closingMs).catch(() => client.end(true));
    },
  };
}

const bytesOf = (payload: string | Uint8Array): Uint8Array => (typeof payload === 'string' ? new TextEncoder().encode(payload) : payload);

/** Rejects with Go's words when the time is over or the caller has gone. */
function within<T>(work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Error((signal?.reason as Error | undefined)?.name === 'TimeoutError' ? 'context deadline exceeded' : 'context canceled'));
    if (signal?.aborted) return abort();
    const timer = setTimeout(() => reject(new Error('context deadline exceeded')), ms);
    signal?.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
  });
}
