// One reader of a Google Cloud Pub/Sub subscription: pulls, hands over, acknowledges, and keeps the lease of what is still being handled.
import { fromBase64 } from '../../core/base64.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { type GooglePubSub, type ReceivedMessage, RpcFailure } from './pubsub-api.ts';

export interface ReceiverOptions {
  api: GooglePubSub;
  /** Its id. */
  subscription: string;
  log: Logger;
  /** Messages in hand at once. */
  maxMessages: number;
  /** Bytes in hand at once. */
  maxBytes: number;
  /** Requests for messages under way at once. */
  connections: number;
  /** For how long a lease is prolonged, seconds. */
  ackDeadlineSeconds: number;
  /** How often reading begins anew after the service refused; one more after each 2 · attempts · pause. */
  maxReconnectionAttempts: number;
  recoveryMs: number;
  handle(data: Uint8Array): Promise<void>;
}

/** Leases are looked at so often; the shortest one the service gives is 10 s. */
const leaseTickMs = 4000;
const longestLeaseMs = 3_600_000;
const mostPerRequest = 1000;

interface InHand {
  received: ReceivedMessage;
  bytes: number;
  since: number;
  extendAt: number;
}

/** Messages with one ordering key are handled one after the other; when one of them fails, those behind it go back with it. */
export function startGoogleReceiver(options: ReceiverOptions): { close(): Promise<void> } {
  const { api, subscription, log, maxMessages, maxBytes, handle } = options;
  const resource = `subscriptions/${encodeURIComponent(subscription)}`;
  const stop = new AbortController();
  const closing = () => stop.signal.aborted;
  const inHand = new Set<InHand>();
  const lanes = new Map<string, InHand[]>();
  let bytesInHand = 0;
  let changed = () => {};

  /** Sends ids in bundles, one request at a time. */
  const answers = (path: string, extra: object) => {
    let ids: string[] = [];
    let sending: Promise<void> | undefined;
    const send = async () => {
      while (ids.length > 0) {
        const some = ids.slice(0, mostPerRequest);
        ids = ids.slice(mostPerRequest);
        await api.call('POST', `${resource}:${path}`, { ackIds: some, ...extra }).catch((error) => log.warn(`Cannot answer for ${some.length} messages of subscription ${subscription}, they may come again: ${textOf(error)}`));
      }
      sending = undefined;
    };
    return {
      add: (ackId: string) => {
        ids.push(ackId);
        sending ??= Promise.resolve().then(send);
      },
      done: async () => sending,
    };
  };
  const acks = answers('acknowledge', {});
  const nacks = answers('modifyAckDeadline', { ackDeadlineSeconds: 0 });
  const leases = answers('modifyAckDeadline', { ackDeadlineSeconds: options.ackDeadlineSeconds });

  const prolong = setInterval(() => {
    const now = Date.now();
    for (const one of inHand) {
      if (now < one.extendAt || now - one.since > longestLeaseMs) continue;
      leases.add(one.received.ackId);
      one.extendAt = now + options.ackDeadlineSeconds * 1000 - 2 * leaseTickMs;
    }
  }, leaseTickMs);

  const finish = (one: InHand, accepted: boolean) => {
    (accepted ? acks : nacks).add(one.received.ackId);
    inHand.delete(one);
    bytesInHand -= one.bytes;
    changed();
  };
  /** False: refused. */
  const run = async (one: InHand): Promise<boolean> => {
    // Not begun yet when the subscription ends: somebody else's.
    if (closing()) {
      finish(one, false);
      return false;
    }
    try {
      await handle(fromBase64(one.received.message.data ?? ''));
    } catch (error) {
      log.debug(`Message ${one.received.message.messageId ?? ''} of subscription ${subscription} was not accepted: ${textOf(error)}`);
      finish(one, false);
      return false;
    }
    finish(one, true);
    return true;
  };
  const runLane = async (key: string, lane: InHand[]): Promise<void> => {
    for (let one = lane[0]; one !== undefined; one = lane[0]) {
      const accepted = await run(one);
      lane.shift();
      // The service delivers everything behind a refused message again: in between, nothing may overtake it.
      if (!accepted) for (const behind of lane.splice(0)) finish(behind, false);
    }
    lanes.delete(key);
  };
  const take = (received: ReceivedMessage) => {
    const now = Date.now();
    const { data = '', orderingKey = '' } = received.message;
    const one: InHand = { received, bytes: Math.floor((data.length * 3) / 4), since: now, extendAt: now + leaseTickMs };
    inHand.add(one);
    bytesInHand += one.bytes;
    if (orderingKey === '') return void run(one);
    const lane = lanes.get(orderingKey);
    if (lane !== undefined) return void lane.push(one);
    const made = [one];
    lanes.set(orderingKey, made);
    void runLane(orderingKey, made);
  };
  const hasRoom = () => inHand.size < maxMessages && bytesInHand < maxBytes;
  const room = async () => {
    while (!hasRoom() && !closing()) await new Promise<void>((resolve) => (changed = chain(changed, resolve)));
  };

  // An attempt is given back from time to time: rare trouble over months must not use them up.
  const perAttemptMs = 2 * options.maxReconnectionAttempts * options.recoveryMs;
  let used = 0, usedSince = Date.now();
  const mayTryAgain = (): boolean => {
    const back = perAttemptMs > 0 ? Math.floor((Date.now() - usedSince) / perAttemptMs) : 0;
    if (back > 0) usedSince = Date.now();
    used = Math.max(0, used - back);
    return used++ < options.maxReconnectionAttempts;
  };
  const read = async (): Promise<void> => {
    for (;;) {
      await room();
      if (closing()) return;
      const began = Date.now();
      try {
        const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(180_000)]);
        const { receivedMessages = [] } = await api.call('POST', `${resource}:pull`, { maxMessages: Math.min(mostPerRequest, Number.isFinite(maxMessages) ? maxMessages - inHand.size : mostPerRequest) }, { signal, once: true });
        for (const message of receivedMessages) take(message);
        // The service waits for messages by itself; an emulator may not.
        if (receivedMessages.length === 0 && Date.now() - began < 100) await pause(100, stop.signal);
      } catch (error) {
        if (closing()) return;
        if (Date.now() - began >= 180_000) continue;
        const temporary = error instanceof RpcFailure && error.transient;
        log.warn(`Connection to subscription ${subscription} closed with error: ${textOf(error)}`);
        if (!temporary && !mayTryAgain()) return log.error(`Reconnection attempts exhausted for subscription ${subscription}, giving up after ${options.maxReconnectionAttempts} attempts.`);
        await pause(options.recoveryMs, stop.signal);
      }
    }
  };
  const reading = Promise.all(Array.from({ length: options.connections }, read));

  return {
    close: async () => {
      stop.abort();
      changed();
      await reading;
      while (inHand.size > 0) await new Promise<void>((resolve) => (changed = chain(changed, resolve)));
      clearInterval(prolong);
      await Promise.all([acks.done(), nacks.done(), leases.done()]);
    },
  };
}

const chain = (first: () => void, second: () => void) => () => {
  first();
  second();
};
