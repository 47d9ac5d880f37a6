// Publishing to Google Cloud Pub/Sub: messages of one topic that come at the same moment travel in one request.
import { toBase64 } from '../../core/base64.ts';
import type { GooglePubSub } from './pubsub-api.ts';

interface Waiting {
  data: Uint8Array;
  done(): void;
  failed(error: unknown): void;
}
/** Messages on their way to one topic, or of one ordering key of it. */
interface Lane {
  waiting: Waiting[];
  /** A turn has been asked for, or, where order counts, a request is on its way. */
  busy: boolean;
}

// As Google's own clients: at most so many messages and bytes in a request.
const [mostMessages, mostBytes] = [100, 1_000_000];

/** `orderingKey` undefined: the order does not matter. Messages of one key go out one request after the other. */
export function createGooglePublisher(api: GooglePubSub): (topic: string, orderingKey: string | undefined, data: Uint8Array) => Promise<void> {
  const lanes = new Map<string, Lane>();
  return (topic, orderingKey, data) => {
    const ordered = orderingKey !== undefined && orderingKey !== '';
    const id = JSON.stringify([topic, orderingKey ?? '']);
    const lane = lanes.get(id) ?? { waiting: [], busy: false };
    lanes.set(id, lane);

    const send = async (): Promise<void> => {
      while (lane.waiting.length > 0) {
        const batch = takeBatch(lane.waiting);
        const messages = batch.map(({ data }) => ({ data: toBase64(data), ...(ordered ? { orderingKey } : {}) }));
        const sent = api.call('POST', `topics/${encodeURIComponent(topic)}:publish`, { messages }).then(
          () => batch.forEach(({ done }) => void done()),
          (error) => batch.forEach(({ failed }) => void failed(error)),
        );
        if (ordered) await sent;
      }
      lane.busy = false;
      lanes.delete(id);
    };
    return new Promise((done, failed) => {
      lane.waiting.push({ data, done, failed });
      if (lane.busy) return;
      lane.busy = true;
      setTimeout(() => void send(), 0);
    });
  };
}

function takeBatch(waiting: Waiting[]): Waiting[] {
  let [count, bytes] = [0, 0];
  for (const { data } of waiting) {
    if (count > 0 && (count === mostMessages || bytes + data.length > mostBytes)) break;
    count++;
    bytes += data.length;
  }
  return waiting.splice(0, count);
}
