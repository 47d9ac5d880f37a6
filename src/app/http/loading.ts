// Calls that come while components are still loading: they wait, because "not configured" would be untrue.
import { fail } from '../../core/errors.ts';

export interface Loading {
  readonly isDone: boolean;
  /** The components are there: lets the waiting calls through. */
  done(): void;
  /** They will never be: the waiting calls and all later ones are answered ERR_OUTBOUND_HEALTH_NOT_READY. */
  cancelled(): void;
  /** The same handler, not called before `done`. */
  hold<C, R>(handler: (call: C) => R | Promise<R>): (call: C) => R | Promise<R>;
}

export function createLoading(): Loading {
  let state: 'loading' | 'done' | 'cancelled' = 'loading';
  let settle = () => {};
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const held = async <C, R>(handler: (call: C) => R | Promise<R>, c: C): Promise<R> => {
    await settled;
    if (state === 'cancelled') throw fail('outboundNotReady');
    return handler(c);
  };
  const to = (next: 'done' | 'cancelled') => () => {
    if (state === 'loading') state = next;
    settle();
  };
  return {
    get isDone() { return state === 'done'; },
    done: to('done'),
    cancelled: to('cancelled'),
    hold: (handler) => (c) => (state === 'done' ? handler(c) : held(handler, c)),
  };
}
