// What a listener calls: the runtime of the moment. Between two runtimes inside the process calls wait here and are not refused.
import type { Outrigger } from '../../app/create-app.ts';
import type { HandleCall } from '../../app/http/api.ts';

/** The calls that one handler got through the gate. */
export interface Calls {
  /**
   * Resolves when no more of them are without an answer than `lasting` says (default 0); it is asked again whenever one is answered.
   * Bodies that stream on do not count.
   */
  over(lasting?: () => number): Promise<void>;
}

export interface Gate {
  /** For the listener, from its first call to its last. */
  readonly handle: HandleCall;
  /** Calls go to this handler from now on, those that wait first. */
  to(handler: HandleCall): Calls;
  /** Calls wait from now on, until `to`; so it begins. */
  hold(): void;
}

interface Turn extends Calls {
  readonly handler: HandleCall;
  inHand: number;
  readonly done: () => void;
}

function turnOf(handler: HandleCall): Turn {
  const looks = new Set<() => void>();
  const turn: Turn = {
    handler,
    inHand: 0,
    done: () => {
      turn.inHand--;
      if (looks.size > 0) for (const look of looks) look();
    },
    over: (lasting = none) => new Promise((resolve) => {
      const look = () => {
        if (turn.inHand > lasting()) return;
        looks.delete(look);
        resolve();
      };
      looks.add(look);
      look();
    }),
  };
  return turn;
}
const none = () => 0;

export function createGate(): Gate {
  let open = () => {};
  let opened: Promise<void>;
  const handle: HandleCall = (incoming) => {
    const turn = current;
    const answer = turn.handler(incoming);
    // what is answered at once was never in hand
    if (answer instanceof Promise) {
      turn.inHand++;
      answer.then(turn.done, turn.done); // beside the listener's own, which is not to wait for it
    }
    return answer;
  };
  const waiting = turnOf(async (incoming) => {
    await opened;
    return handle(incoming);
  });
  let current: Turn;
  const hold = () => {
    if (current === waiting) return;
    current = waiting;
    opened = new Promise((resolve) => { open = resolve; });
  };
  hold();
  return {
    handle,
    to: (handler) => {
      current = turnOf(handler);
      open();
      return current;
    },
    hold,
  };
}

/** The gates of all listeners. Those of health and metrics are never held: what they tell needs no component. */
export interface Gates {
  readonly api: HandleCall;
  readonly public: HandleCall;
  readonly metrics: HandleCall;
  readonly internal: HandleCall;
  /** All calls go to this app from now on. */
  to(app: Outrigger): AppCalls;
  /** Calls that may need components wait from now on. */
  hold(): void;
}
export interface AppCalls {
  /** Resolves when no call is without an answer; with `lasting`, but for those that need no component any more. */
  over(lasting?: Outrigger['lasting']): Promise<unknown>;
}

export function createGates(): Gates {
  const api = createGate();
  const open = createGate();
  const metrics = createGate();
  const internal = createGate();
  return {
    api: api.handle,
    public: open.handle,
    metrics: metrics.handle,
    internal: internal.handle,
    to: (app) => {
      open.to(app.handlePublic);
      if (app.handleMetrics) metrics.to(app.handleMetrics);
      const own = api.to(app.handle);
      const others = internal.to(app.handleInternal);
      return { over: (lasting) => Promise.all([own.over(lasting?.api), others.over(lasting?.internal)]) };
    },
    hold: () => {
      api.hold();
      internal.hold();
    },
  };
}
