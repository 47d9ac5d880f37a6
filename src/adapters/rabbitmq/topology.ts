// What pubsub.rabbitmq declares for a subscription, argument by argument as daprd does: both must be able to use one queue.
import type { Channel } from 'amqplib';
import { isTruthy } from '../../core/metadata.ts';

export interface Topology {
  exchangeKind: string;
  durable: boolean;
  deletedWhenUnused: boolean;
  enableDeadLetter: boolean;
  /** 0: no limit. */
  maxLen: number;
  maxLenBytes: number;
}

export const declareExchange = (channel: Channel, topic: string, { exchangeKind, durable, deletedWhenUnused }: Topology): Promise<unknown> =>
  channel.assertExchange(topic, exchangeKind, { durable, autoDelete: deletedWhenUnused });

const limits = ({ maxLen, maxLenBytes }: Topology) => ({ ...(maxLen > 0 ? { 'x-max-length': maxLen } : {}), ...(maxLenBytes > 0 ? { 'x-max-length-bytes': maxLenBytes } : {}) });

/** Arguments of the queue, from component and subscription. Throws where the subscription asks for what is not. */
export function queueArguments(topology: Topology, metadata: Readonly<Record<string, string>>, queue: string): Record<string, unknown> {
  const { queueType } = metadata;
  if (queueType && queueType !== 'classic' && queueType !== 'quorum') throw new Error(`error not retriable for ${queue}: invalid queue type ${queueType}. Valid types are classic and quorum`);
  const number = (name: 'maxPriority' | 'maxLen' | 'maxLenBytes'): number | undefined => {
    const text = metadata[name];
    if (!text) return undefined;
    if (!/^\d+$/.test(text)) throw new Error(`can't parse ${name} value ${text}`);
    return Number(text);
  };
  const priority = number('maxPriority'), length = number('maxLen'), bytes = number('maxLenBytes');
  return {
    ...(topology.enableDeadLetter ? { 'x-dead-letter-exchange': `dlx-${queue}` } : {}),
    ...limits(topology),
    ...(priority === undefined ? {} : { 'x-max-priority': Math.min(255, priority) }),
    'x-queue-type': queueType || 'classic',
    ...(isTruthy(metadata.singleActiveConsumer) ? { 'x-single-active-consumer': true } : {}),
    ...(bytes === undefined ? {} : { 'x-max-length-bytes': bytes }),
    ...(length === undefined ? {} : { 'x-max-length': length }),
  };
}

/** Exchange, queue, dead letters and bindings. What exists with other arguments is refused by the broker, and the channel with it. */
export async function declareSubscription(channel: Channel, topic: string, queue: string, topology: Topology, metadata: Readonly<Record<string, string>>): Promise<void> {
  const args = queueArguments(topology, metadata, queue);
  const { durable, deletedWhenUnused: autoDelete } = topology;
  await declareExchange(channel, topic, topology);
  if (topology.enableDeadLetter) {
    await channel.assertExchange(`dlx-${queue}`, 'fanout', { durable: true, autoDelete });
    await channel.assertQueue(`dlq-${queue}`, { durable: true, autoDelete, arguments: { ...limits(topology), 'x-queue-mode': 'lazy' } });
    await channel.bindQueue(`dlq-${queue}`, `dlx-${queue}`, '');
  }
  await channel.assertQueue(queue, { durable, autoDelete, arguments: args });
  for (const key of (metadata.routingKey ?? '').split(',')) await channel.bindQueue(queue, topic, key);
}
