// What an app is given: a handler that remembers, for subscriptions and input bindings alike.
import { setTimeout as sleep } from 'node:timers/promises';

interface Given {
  data: Uint8Array;
}

export const text = ({ data }: Given): string => new TextDecoder().decode(data);

/** `refuses`: which of them it fails for; `nth` counts from 1. `takesMs`: how long it has each in hand. */
export function collect<Event extends Given>({ refuses = () => false, takesMs = 0 }: { refuses?: (event: Event, nth: number) => boolean; takesMs?: number } = {}) {
  const messages: Event[] = [];
  let inHand = 0, most = 0;
  return {
    /** In the order in which they came, the refused ones too. */
    messages,
    texts: () => messages.map(text),
    /** How many it has had in hand at once. */
    most: () => most,
    handler: async (event: Event): Promise<undefined> => {
      const fails = refuses(event, messages.push(event));
      most = Math.max(most, ++inHand);
      if (takesMs > 0) await sleep(takesMs);
      inHand--;
      if (fails) throw new Error('refused by the test');
    },
  };
}
