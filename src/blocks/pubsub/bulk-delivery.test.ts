import { describe, expect, it } from 'vitest';
import { background, type CallContext } from '../../core/context.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Logger } from '../../core/log.ts';
import type { Policy } from '../resiliency/policy.ts';
import { bulkEnvelope } from './bulk-envelope.ts';
import { type BulkPostman, createBulkDelivery, type DeliveredBatch } from './bulk-delivery.ts';
import type { BulkMessageEntry, PublishRequest } from './port.ts';
import type { NamedPubSub } from './pubsub.ts';
import { compileRoutes } from './routes.ts';
import type { SubscriptionSpec } from './subscription-list.ts';

type Status = 'done' | 'dropped' | Error;
interface Options {
  /** What the app says of an entry, by the id of its event; without one it says nothing. */
  answers?: Record<string, Status>;
  fails?: Error;
  stop?: boolean;
  inbound?: Policy;
  refusesDeadLetters?: boolean;
}

async function subscription(spec: Partial<SubscriptionSpec>, { answers = {}, fails, stop = false, inbound, refusesDeadLetters = false }: Options = {}) {
  const seen: DeliveredBatch[] = [];
  const dead: string[] = [];
  const logged: string[] = [];
  const say = (message: string) => void logged.push(message);
  const log: Logger = { debug: say, info: say, warn: say, error: say, fatal: say, always: say, scope: () => log };
  const broker = {
    name: 'bus', inbound,
    forward: async ({ data, metadata, topic }: PublishRequest) => {
      if (refusesDeadLetters) throw new Error('no');
      dead.push(`${topic}: ${textOfBytes(data)} ${JSON.stringify(metadata)}`);
    },
  } as unknown as NamedPubSub;
  const postman: BulkPostman = async (batch) => {
    seen.push(batch);
    if (fails) throw fails;
    return new Map(batch.entries.flatMap(({ entryId }) => (answers[entryId] === undefined ? [] : [[entryId, answers[entryId]] as const])));
  };
  const rules = spec.rules ?? [{ match: '', path: '/t' }];
  const handler = createBulkDelivery({
    spec: { pubsubName: 'bus', topic: 't', metadata: {}, rules, deadLetterTopic: '', bulkSubscribe: undefined, type: 'PROGRAMMATIC', ...spec },
    routes: await compileRoutes(rules), broker, postman, log, stop: stop ? AbortSignal.abort() : new AbortController().signal,
  });
  const receive = async (...messages: Record<string, unknown>[]) => {
    const entries = messages.map((message): BulkMessageEntry => ({ entryId: String(message.id), data: utf8(typeof message.text === 'string' ? message.text : JSON.stringify(message)), metadata: { of: String(message.id) } }));
    const failures = await handler({ topic: 't', entries, metadata: {} }, background);
    return Object.fromEntries([...failures].map(([id, error]) => [id, (error as Error).message]));
  };
  const ids = () => seen.map(({ path, entries }) => [path, ...entries.map(({ entryId }) => entryId)]);
  return { receive, seen, ids, dead, logged };
}
const all = (...ids: string[]): Record<string, Status> => Object.fromEntries(ids.map((id) => [id, 'done' as const]));
const past = new Date(Date.now() - 5000).toISOString();

describe('a batch', () => {
  it('goes out once per path, rules seeing each event', async () => {
    const { receive, ids } = await subscription({ rules: [{ match: 'event.type == "a"', path: '/a' }, { match: '', path: '/b' }] }, { answers: all('1', '2', '3') });
    expect(await receive({ id: 1, type: 'a' }, { id: 2, type: 'b' }, { id: 3, type: 'a' })).toEqual({});
    expect(ids()).toEqual([['/a', '1', '3'], ['/b', '2']]);
  });
  it('stands in one envelope, events as the broker has them', async () => {
    const { receive, seen } = await subscription({}, { answers: all('1', '2') });
    await receive({ id: 1, text: '{"id":"1","n":12345678901234567890}' }, { id: 2, text: '{"id":"2"}' });
    const text = bulkEnvelope(seen[0]!);
    expect(text).toMatch(/^\{"entries":\[\{"entryId":"1","event":\{"id":"1","n":12345678901234567890\},"metadata":\{"of":"1"\},"contentType":"application\/cloudevents\+json"\},/);
    expect(JSON.parse(text)).toMatchObject({ id: expect.stringMatching(/^[0-9a-f-]{36}$/), metadata: { pubsubName: 'bus' }, pubsubname: 'bus', topic: 't', type: 'com.dapr.event.sent.bulk' });
  });
  it('raw messages are base64, and text to the rules', async () => {
    const { receive, seen } = await subscription({ metadata: { rawPayload: 'true' }, rules: [{ match: 'event == "words"', path: '/w' }] }, { answers: all('1') });
    expect(await receive({ id: 1, text: 'words' }, { id: 2, text: 'others' })).toEqual({});
    expect(seen[0]).toMatchObject({ path: '/w', entries: [{ event: '"d29yZHM="', contentType: 'application/octet-stream', attributes: undefined }] });
  });
  it.each([
    ['without dead letters', '', { '2': 'no', '3': 'response not received, RETRY required while processing bulk subscribe event for entry id: 3' }, []],
    ['with dead letters', 'dead', {}, ['dead: {"id":4} {"of":"4"}', 'dead: {"id":2} {"of":"2"}', 'dead: {"id":3} {"of":"3"}']],
  ])('each entry has its fate, %s', async (_, deadLetterTopic, failures, letters) => {
    const { receive, dead } = await subscription({ deadLetterTopic }, { answers: { 1: 'done', 2: new Error('no'), 4: 'dropped' } });
    expect(await receive({ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 })).toEqual(failures);
    expect(dead).toEqual(letters);
  });
  it('expired entries and such without a route are done with, what cannot be read or matched has failed', async () => {
    const { receive, ids, dead } = await subscription({ rules: [{ match: 'event.type == "a"', path: '/a' }] }, { answers: all('5') });
    expect(await receive({ id: 1, type: 'a', expiration: past }, { id: 2, type: 'b' }, { id: 3, text: 'words' }, { id: 4 }, { id: 5, type: 'a' })).toEqual({ 3: expect.stringContaining('invalid character'), 4: 'no such key: type' });
    expect([ids(), dead]).toEqual([[['/a', '5']], []]);
  });
  it('what fails for good is among the dead letters, and stays failed where they refuse', async () => {
    const { receive, dead } = await subscription({ deadLetterTopic: 'dead' }, { fails: new Error('500') });
    expect(await receive({ id: 1 })).toEqual({});
    expect(dead).toEqual(['dead: {"id":1} {"of":"1"}']);
    const refused = await subscription({ deadLetterTopic: 'dead' }, { fails: new Error('500'), refusesDeadLetters: true });
    expect(await refused.receive({ id: 1 })).toEqual({ 1: '500' });
  });
  it('what fails while the subscription ends is left to redelivery', async () => {
    const { receive, dead } = await subscription({ deadLetterTopic: 'dead' }, { fails: new Error('gone'), stop: true });
    expect(await receive({ id: 1 })).toEqual({ 1: 'gone' });
    expect(dead).toEqual([]);
  });
  it('under a policy only what has failed comes again', async () => {
    const answers: Record<string, Status> = { 1: 'done', 2: new Error('later'), 3: new Error('no') };
    const inbound = {
      retries: true,
      run: async <T>(context: CallContext, work: (context: CallContext) => T | Promise<T>) => {
        try {
          return await work(context);
        } catch {
          answers[2] = 'done';
          return work(context);
        }
      },
    } as Policy;
    const { receive, ids } = await subscription({}, { answers, inbound });
    expect(await receive({ id: 1 }, { id: 2 }, { id: 3 })).toEqual({ 3: 'no' });
    expect(ids()).toEqual([['/t', '1', '2', '3'], ['/t', '2', '3']]);
  });
});
