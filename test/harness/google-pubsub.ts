// A contract server with Google Cloud Pub/Sub's REST API as its reference documents it. Neither Google's service nor its emulator, which no registry has.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jwtVerify } from 'jose';
import { openJournal } from './journal.ts';

interface Stored {
  messageId: string;
  publishTime: string;
  data: string;
  orderingKey?: string;
}
interface Leased {
  stored: Stored;
  attempt: number;
  /** Milliseconds since 1970; after that it is delivered again. */
  until: number;
}
interface Subscription {
  config: { topic: string; ackDeadlineSeconds?: number; enableMessageOrdering?: boolean; deadLetterPolicy?: { deadLetterTopic: string; maxDeliveryAttempts: number } };
  waiting: { stored: Stored; attempt: number }[];
  leased: Map<string, Leased>;
  wake: Set<() => void>;
}
const refusal = (code: number, status: string, message: string): [number, unknown] => [code, { error: { code, status, message } }];
const idPattern = /^[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}$/;

type Entry = { make: 'topics' | 'subscriptions'; name: string; body: Record<string, unknown> } | { publish: string; messages: Stored[] } | { done: string; messageId: string };

/** `auth`: calls need a token that /token gives for an assertion of this server's own service account. `journal`: a file with everything but leases. */
export async function startGooglePubSub({ auth = false, port = 0, journal: file }: { auth?: boolean; port?: number; journal?: string } = {}) {
  const journal = openJournal<Entry>(file);
  const topics = new Map<string, Set<string>>();
  const subscriptions = new Map<string, Subscription>();
  const requests: { method: string; path: string; body: Record<string, unknown> }[] = [];
  const tokens = new Set<string>();
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  /** Refusals to come, first to last. */
  const failures: [path: RegExp, status: number, code: string][] = [];

  const offer = (sub: Subscription, one: { stored: Stored; attempt: number }) => {
    const policy = sub.config.deadLetterPolicy;
    if (policy !== undefined && one.attempt >= policy.maxDeliveryAttempts) return publish(policy.deadLetterTopic, [one.stored]);
    sub.waiting.push(one);
    // One that comes again goes before what was published later.
    sub.waiting.sort((a, b) => Number(a.stored.messageId) - Number(b.stored.messageId));
    for (const wake of sub.wake) wake();
  };
  function publish(topic: string, messages: Stored[]): void {
    for (const name of topics.get(topic) ?? []) for (const stored of messages) offer(subscriptions.get(name) as Subscription, { stored, attempt: 0 });
  }
  const make = (kind: 'topics' | 'subscriptions', name: string, body: Record<string, unknown>) => {
    if (kind === 'topics') return topics.set(name, new Set());
    const config = body as unknown as Subscription['config'];
    topics.get(config.topic)?.add(name);
    return subscriptions.set(name, { config, waiting: [], leased: new Map(), wake: new Set() });
  };
  /** Messages of an ordering key wait while one of them is out. */
  const lease = (sub: Subscription, most: number) => {
    const out = new Set([...sub.leased.values()].map(({ stored }) => stored.orderingKey).filter((key) => key !== undefined && sub.config.enableMessageOrdering));
    const given: unknown[] = [];
    sub.waiting = sub.waiting.filter(({ stored, attempt }) => {
      if (given.length >= most || out.has(stored.orderingKey)) return true;
      const ackId = randomUUID();
      sub.leased.set(ackId, { stored, attempt: attempt + 1, until: Date.now() + (sub.config.ackDeadlineSeconds ?? 10) * 1000 });
      given.push({ ackId, message: stored });
      return false;
    });
    return given;
  };
  const giveBack = (sub: Subscription, ackId: string) => {
    const one = sub.leased.get(ackId);
    if (one === undefined) return;
    sub.leased.delete(ackId);
    offer(sub, one);
  };
  const expiry = setInterval(() => {
    for (const sub of subscriptions.values()) for (const [ackId, { until }] of sub.leased) if (until < Date.now()) giveBack(sub, ackId);
  }, 100);
  const pull = async (sub: Subscription, most: number, gone: AbortSignal): Promise<[number, unknown]> => {
    for (const end = Date.now() + 5000; ; ) {
      if (gone.aborted) return [499, {}];
      const receivedMessages = lease(sub, most);
      if (receivedMessages.length > 0 || Date.now() > end) return [200, receivedMessages.length > 0 ? { receivedMessages } : {}];
      await new Promise<void>((resolve) => {
        const wake = () => {
          sub.wake.delete(wake);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(wake, end - Date.now() + 1);
        sub.wake.add(wake);
        gone.addEventListener('abort', wake);
      });
    }
  };
  let lastId = 0;
  const answer = async (method: string, path: string, body: Record<string, unknown>, gone: AbortSignal): Promise<[number, unknown]> => {
    const failure = failures[0]?.[0].test(path) ? failures.shift() : undefined;
    if (failure !== undefined) return refusal(failure[1], failure[2], 'asked for by the test');
    const [, name = '', kind, id = '', verb] = /^\/v1\/(projects\/[^/]+\/(topics|subscriptions)\/([^/:]+))(?::(\w+))?$/.exec(path) ?? [];
    if (kind === undefined) return refusal(404, 'NOT_FOUND', `no such method: ${path}`);
    const exists = kind === 'topics' ? topics.has(name) : subscriptions.has(name);
    if (method === 'PUT') {
      if (!idPattern.test(id)) return refusal(400, 'INVALID_ARGUMENT', `Invalid resource name given (name=${name}).`);
      if (exists) return refusal(409, 'ALREADY_EXISTS', `Resource already exists in the project (resource=${id}).`);
      if (kind === 'subscriptions') {
        const config = body as unknown as Subscription['config'];
        const deadline = config.ackDeadlineSeconds ?? 10;
        if (deadline < 10 || deadline > 600) return refusal(400, 'INVALID_ARGUMENT', 'Invalid ack deadline.');
        if (!topics.has(config.topic)) return refusal(404, 'NOT_FOUND', `Resource not found (resource=${config.topic}).`);
      }
      journal.add({ make: kind as 'topics' | 'subscriptions', name, body });
      make(kind as 'topics' | 'subscriptions', name, body);
      return [200, { name, ...body }];
    }
    if (!exists) return refusal(404, 'NOT_FOUND', `Resource not found (resource=${id}).`);
    if (method === 'GET' && verb === undefined) return [200, { name }];
    if (verb === 'publish') {
      const messages = body.messages as { data?: string; orderingKey?: string }[];
      if (messages.some(({ data = '' }) => data === '')) return refusal(400, 'INVALID_ARGUMENT', 'Some messages in the publish request is empty.');
      const stored = messages.map((one) => ({ ...one, data: one.data as string, messageId: String(++lastId), publishTime: new Date().toISOString() }));
      journal.add({ publish: name, messages: stored });
      publish(name, stored);
      return [200, { messageIds: stored.map(({ messageId }) => messageId) }];
    }
    const sub = subscriptions.get(name) as Subscription;
    const ackIds = (body.ackIds ?? []) as string[];
    if (verb === 'pull') return pull(sub, body.maxMessages as number, gone);
    if (verb === 'acknowledge') {
      for (const ackId of ackIds) {
        const one = sub.leased.get(ackId);
        if (one !== undefined) journal.add({ done: name, messageId: one.stored.messageId });
        sub.leased.delete(ackId);
      }
    } else if (verb === 'modifyAckDeadline') {
      const seconds = body.ackDeadlineSeconds as number;
      for (const ackId of ackIds) {
        const one = sub.leased.get(ackId);
        if (seconds === 0) giveBack(sub, ackId);
        else if (one !== undefined) one.until = Date.now() + seconds * 1000;
      }
    } else return refusal(404, 'NOT_FOUND', `no such method: ${path}`);
    for (const wake of sub.wake) wake(); // a key may be free again
    return [200, {}];
  };

  for (const entry of journal.past) {
    if ('make' in entry) make(entry.make, entry.name, entry.body);
    else if ('publish' in entry) {
      publish(entry.publish, entry.messages);
      lastId += entry.messages.length;
    } else {
      const sub = subscriptions.get(entry.done) as Subscription;
      sub.waiting = sub.waiting.filter(({ stored }) => stored.messageId !== entry.messageId);
    }
  }

  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const path = decodeURIComponent(request.url ?? '');
    const reply = (status: number, body: unknown) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    if (path === '/token') {
      const given = new URLSearchParams(text);
      const verified = await jwtVerify(given.get('assertion') ?? '', publicKey, { audience: `${url()}/token`, issuer: 'robot@example.iam.gserviceaccount.com' }).catch(() => undefined);
      if (verified?.payload.scope !== 'https://www.googleapis.com/auth/pubsub') return reply(400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' });
      const access_token = randomUUID();
      tokens.add(access_token);
      return reply(200, { access_token, expires_in: 3599, token_type: 'Bearer' });
    }
    if (auth && !tokens.has((request.headers.authorization ?? '').replace(/^Bearer /, ''))) return reply(...refusal(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.'));
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    requests.push({ method: request.method ?? '', path, body });
    return reply(...(await answer(request.method ?? '', path, body, gone.signal)));
  });
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: url(),
    topics, subscriptions, requests, failures,
    account: { privateKeyID: 'key-1', privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, clientEmail: 'robot@example.iam.gserviceaccount.com', tokenURI: `${url()}/token` },
    stop: async () => {
      clearInterval(expiry);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
