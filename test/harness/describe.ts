// Vitest suites that need a real server: skipped with the reason where it is not installed, failing in CI.
import { describe, test } from 'vitest';
import { missing, type ServerName } from './servers.ts';

/** Like `describe`, for tests that start the named servers themselves. Set CI to make a missing server a failure. */
export function describeWithServer(names: ServerName | ServerName[], title: string, body: () => void): void {
  const reason = [names]
    .flat()
    .flatMap((name) => missing(name) ?? [])
    .join('; ');
  if (!reason) {
    describe(title, body);
  } else if (process.env.CI) {
    describe(title, () => {
      test('has the server it needs', () => {
        throw new Error(reason);
      });
    });
  } else {
    console.warn(`skipped: ${title}: ${reason}`);
    describe.skip(`${title} (${reason})`, body);
  }
}
