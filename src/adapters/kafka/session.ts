// A member of a consumer group with a fixed set of topics; its partitions are worked off beside each other, whatever they were fetched with (client: KafkaJS).
import type { Admin, Consumer, Kafka } from 'kafkajs';
import type { Logger } from '../../core/log.ts';
import { assignerOf } from './assigners.ts';
import { goText, loadKafka } from './client.ts';
import { createPartition, type Partition, type TopicHandler } from './partition.ts';
import type { KafkaSettings } from './settings.ts';

export interface Session {
  /** Resolves with the reason when it has broken for good. */
  readonly broken: Promise<unknown>;
  /** Leaves the group when running handlers have ended and what they did is committed. */
  close(): Promise<void>;
}

const commitMs = 1000;
const fetchWaitMs = 300;

/** Resolves when the group has been joined and new messages will come; rejects when that fails. */
export async function openSession(client: Kafka, settings: KafkaSettings, topics: ReadonlyMap<string, TopicHandler>, log: Logger): Promise<Session> {
  const { AssignerProtocol } = await loadKafka();
  const groupId = settings.group;
  let held: Readonly<Record<string, readonly number[]>> = {};
  const consumer = client.consumer({
    groupId,
    sessionTimeout: settings.sessionMs,
    heartbeatInterval: settings.heartbeatMs,
    rebalanceTimeout: 60_000,
    metadataMaxAge: settings.metadataAgeMs,
    minBytes: settings.fetchMinBytes,
    maxBytesPerPartition: settings.fetchBytes,
    maxWaitTimeInMs: fetchWaitMs,
    allowAutoTopicCreation: true,
    partitionAssigners: [assignerOf(settings.strategy, AssignerProtocol, () => held)],
    retry: { initialRetryTime: 250, retries: 8, restartOnFailure: async () => true },
  });
  const partitions = new Map<string, { topic: string; partition: number; work: Partition }>();
  let closed = false;

  const keyOf = (topic: string, partition: number) => `${partition} ${topic}`;
  const partitionOf = (topic: string, partition: number): Partition => {
    const key = keyOf(topic, partition);
    let found = partitions.get(key);
    if (found === undefined) {
      found = { topic, partition, work: createPartition(topic, partition, topics.get(topic) as TopicHandler, settings, log) };
      partitions.set(key, found);
    }
    return found.work;
  };

  const commit = async (): Promise<void> => {
    const offsets = [...partitions.values()].flatMap(({ topic, partition, work }) => {
      const offset = work.toCommit();
      return offset === undefined ? [] : [{ topic, partition, offset, work }];
    });
    if (offsets.length === 0) return;
    try {
      await consumer.commitOffsets(offsets.map(({ topic, partition, offset }) => ({ topic, partition, offset })));
      for (const { work, offset } of offsets) work.committed(offset);
    } catch (error) {
      log.debug(`kafka: offsets of group ${groupId} not committed: ${goText(error)}`); // the next round, or delivered again
    }
  };
  const rounds = setInterval(() => void commit(), commitMs);

  const joined = deferred<void>();
  const broken = deferred<unknown>();
  joined.promise.catch(() => undefined);
  consumer.on(consumer.events.REBALANCING, () => void commit());
  consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
    held = memberAssignment;
    for (const [key, { topic, partition, work }] of partitions) {
      if (memberAssignment[topic]?.includes(partition)) work.restart();
      else {
        partitions.delete(key);
        void work.close();
      }
    }
    consumer.resume(Object.entries(memberAssignment).map(([topic, numbers]) => ({ topic, partitions: numbers })));
    void begin(client, consumer, groupId, settings.fromOldest ? {} : memberAssignment)
      .catch((error) => log.debug(`kafka: the beginning of group ${groupId} could not be fixed: ${goText(error)}`))
      .then(() => joined.resolve());
  });
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    log.error(`Error consuming [${[...topics.keys()].join(' ')}]. Retrying...: ${goText(error)}`);
    if (restart) return;
    joined.reject(error);
    broken.resolve(error);
  });

  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    clearInterval(rounds);
    await Promise.all([...partitions.values()].map(({ work }) => work.close()));
    await commit();
    await consumer.disconnect().catch((error) => log.debug(`kafka: leaving group ${groupId}: ${goText(error)}`));
  };
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics.keys()], fromBeginning: settings.fromOldest });
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 1,
      // Fetching goes on while messages are worked off; the offsets that count are those that are committed.
      eachBatch: async ({ batch: { topic, partition, messages } }) => {
        const work = partitionOf(topic, partition);
        const records = messages.map(({ key, value, offset, timestamp, headers }) => ({ topic, partition, key, value, offset, timestamp, headers }));
        if (work.push(records)) return;
        const here = [{ topic, partitions: [partition] }];
        consumer.pause(here);
        work.whenRoom(() => {
          if (!closed) consumer.resume(here);
        });
      },
    });
    await joined.promise;
  } catch (error) {
    await close();
    throw error;
  }
  return { broken: broken.promise, close };
}

/**
 * A group that has never read a partition begins at its end. That place is committed at once: what is published from now on is
 * delivered, also when this member ends, or another gets the partition, before the first message.
 */
async function begin(client: Kafka, consumer: Consumer, groupId: string, assignment: Readonly<Record<string, readonly number[]>>): Promise<void> {
  const topics = Object.keys(assignment).filter((topic) => (assignment[topic] as readonly number[]).length > 0);
  if (topics.length === 0) return;
  const admin: Admin = client.admin();
  await admin.connect();
  try {
    const committed = await admin.fetchOffsets({ groupId, topics });
    const fresh = committed.flatMap(({ topic, partitions }) => partitions.filter(({ partition, offset }) => offset === '-1' && assignment[topic]?.includes(partition)).map(({ partition }) => ({ topic, partition })));
    const starts: { topic: string; partition: number; offset: string }[] = [];
    for (const topic of new Set(fresh.map((one) => one.topic))) {
      const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, high]));
      for (const { partition } of fresh.filter((one) => one.topic === topic)) starts.push({ topic, partition, offset: ends.get(partition) ?? '0' });
    }
    for (const start of starts) consumer.seek(start);
    if (starts.length > 0) await consumer.commitOffsets(starts);
  } finally {
    await admin.disconnect();
  }
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined, reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
