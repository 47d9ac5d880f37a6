// The consumer group of a component: its topics come and go, and with each change the group is joined anew (components-contrib/common/component/kafka/subscriber.go).
import type { Kafka } from 'kafkajs';
import { AdapterError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { goText } from './client.ts';
import type { TopicHandler } from './partition.ts';
import { openSession, type Session } from './session.ts';
import type { KafkaSettings } from './settings.ts';

export interface Group {
  /** Resolves when messages of the topics come, after some seconds without a broker at the latest. One handler for a topic: the last. */
  add(topics: readonly string[], handler: TopicHandler): Promise<{ close(): Promise<void> }>;
  close(): Promise<void>;
}

const topicName = /^[A-Za-z0-9._-]{1,249}$/;
/** Changes that come together make one change. */
const gatherMs = 20;
const patienceMs = 10_000;
const longestPauseMs = 5000;

export function createGroup(client: Kafka, settings: KafkaSettings, log: Logger): Group {
  const topics = new Map<string, TopicHandler>();
  let session: Session | undefined;
  let gathering: Promise<void> | undefined;
  let turn: Promise<void> = Promise.resolve();
  /** Ends tries to join with topics that are not those any more. */
  let attempt = new AbortController();

  const join = async (signal: AbortSignal): Promise<void> => {
    const wanted = new Map(topics);
    for (let ms = settings.rejoinMs; !signal.aborted && wanted.size > 0; ms = Math.min(longestPauseMs, Math.max(100, ms * 2))) {
      try {
        const opened = await openSession(client, settings, wanted, log);
        session = opened;
        void opened.broken.then(async () => {
          if (session !== opened) return;
          await pause(settings.rejoinMs, signal);
          if (session === opened) void change();
        });
        return;
      } catch (error) {
        log.error(`Error consuming [${[...wanted.keys()].join(' ')}]. Retrying...: ${goText(error)}`);
        await pause(ms, signal);
      }
    }
  };
  /** Leaves the group and joins it with the topics of the moment. */
  const change = (): Promise<void> => {
    gathering ??= pause(gatherMs, new AbortController().signal).then(() => {
      gathering = undefined;
      attempt.abort();
      attempt = new AbortController();
      const { signal } = attempt;
      turn = turn.then(async () => {
        const old = session;
        session = undefined;
        await old?.close();
        await join(signal);
      });
      return turn;
    });
    return gathering;
  };

  return {
    add: async (names, handler) => {
      // The brokers would refuse all topics of the group for it, again and again.
      for (const name of names) if (!topicName.test(name) || name === '.' || name === '..') throw new AdapterError('invalid', `kafka: ${JSON.stringify(name)} is no name of a topic: letters, digits, dots, underscores and hyphens, at most 249`);
      for (const topic of names) topics.set(topic, handler);
      const changed = change();
      const patience = new AbortController();
      await Promise.race([changed, pause(patienceMs, patience.signal)]);
      patience.abort();
      return {
        close: async () => {
          const mine = names.filter((topic) => topics.get(topic) === handler);
          for (const topic of mine) topics.delete(topic);
          if (mine.length > 0) await change();
        },
      };
    },
    close: async () => {
      topics.clear();
      await change();
    },
  };
}
