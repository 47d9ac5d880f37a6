// --app-max-concurrency: how many requests the app has in hand at once; the rest wait in line without limit.
import { HttpFailure } from '../../core/host.ts';

export interface Turns {
  /** Resolves with the function that gives the turn back (calling it again does nothing). Rejects when the waiting caller goes away. */
  take(signal: AbortSignal | undefined): Promise<() => void>;
}

export function createTurns(limit: number): Turns {
  let taken = 0;
  const line = new Set<() => void>();
  const release = () => {
    let given = false;
    return () => {
      if (given) return;
      given = true;
      taken--;
      const [next] = line;
      if (next) {
        line.delete(next);
        next();
      }
    };
  };
  return {
    take: (signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(new HttpFailure('aborted', 'context canceled'));
        const start = () => {
          signal?.removeEventListener('abort', leave);
          taken++;
          resolve(release());
        };
        const leave = () => {
          line.delete(start);
          reject(new HttpFailure('aborted', 'context canceled'));
        };
        if (taken < limit) return start();
        line.add(start);
        signal?.addEventListener('abort', leave, { once: true });
      }),
  };
}
