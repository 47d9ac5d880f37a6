// Who is using which component, so that one can be replaced under load without a failed call.

export interface ComponentUsers {
  /** Makes a call that uses the component of this name. While that is being replaced, the call waits for the new one. `name` is asked only where somebody could wait. */
  during<C, T>(name: (c: C) => string, call: (c: C) => T | Promise<T>, c: C): T | Promise<T>;
  /** Calls of this name wait from now on, until the function returned is called. */
  hold(name: string): () => void;
  /** Resolves when the calls of this name that are being made now have ended, however many come after them. */
  idle(name: string): Promise<void>;
}

/** Calls that began between two replacements. */
interface Generation {
  calls: number;
  ended: (() => void) | undefined;
}

export function createComponentUsers(): ComponentUsers {
  // Names come from callers: an entry lives no longer than its calls.
  const using = new Map<string, Generation>();
  const held = new Map<string, Promise<void>>();

  const leave = (name: string, generation: Generation): void => {
    if (--generation.calls > 0) return;
    if (using.get(name) === generation) using.delete(name);
    generation.ended?.();
  };
  const during = <C, T>(nameOf: (c: C) => string, call: (c: C) => T | Promise<T>, c: C): T | Promise<T> => {
    const over = held.size > 0 ? held.get(nameOf(c)) : undefined;
    if (over !== undefined) return after(over, nameOf, call, c);
    const result = call(c);
    // What is done already was over before anybody could wait for it.
    if (result instanceof Promise) note(nameOf(c), result);
    return result;
  };
  const after = async <C, T>(over: Promise<void>, nameOf: (c: C) => string, call: (c: C) => T | Promise<T>, c: C): Promise<T> => {
    await over;
    return during(nameOf, call, c);
  };
  const note = (name: string, result: Promise<unknown>): void => {
    let generation = using.get(name);
    if (generation === undefined) using.set(name, (generation = { calls: 0, ended: undefined }));
    generation.calls++;
    const mine = generation;
    const done = () => leave(name, mine);
    result.then(done, done); // beside the caller's own, which is not to wait for it
  };

  return {
    during,
    hold: (name) => {
      let over = () => {};
      held.set(name, new Promise<void>((resolve) => { over = resolve; }));
      return () => {
        held.delete(name);
        over();
      };
    },
    idle: (name) => {
      const generation = using.get(name);
      if (generation === undefined) return Promise.resolve();
      using.delete(name);
      return new Promise((resolve) => { generation.ended = resolve; });
    },
  };
}
