// For tests whose resources change while the sidecar runs: documents, files that change in one piece, log lines that are to come, and an end for all that was started.
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from 'vitest';
import { type Sidecar, startApp, startSidecar } from './sidecar.ts';

export const component = (name: string, type: string, metadata: Record<string, string> = {}, more: Record<string, unknown> = {}, root: Record<string, unknown> = {}) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })), ...more }, ...root });

/** Starters for one test file: what they start ends after each test, the last first. */
export function startersOfFile() {
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  return {
    ends,
    sidecarWith: async (options: NonNullable<Parameters<typeof startSidecar>[0]>): Promise<Sidecar> => {
      const sidecar = await startSidecar(options);
      ends.push(() => sidecar.stop());
      return sidecar;
    },
    appWith: async (handler: Parameters<typeof startApp>[0]) => {
      const app = await startApp(handler);
      ends.push(() => app.stop());
      return app;
    },
  };
}

/** Replaces a resource file in one piece; null removes it. */
export function put({ home }: Sidecar, name: string, text: string | null): void {
  const file = join(home, 'resources', name);
  if (text === null) rmSync(file, { recursive: true, force: true });
  else {
    writeFileSync(join(home, 'new'), text);
    renameSync(join(home, 'new'), file);
  }
}

/** How often the text stands in the log. */
export const count = (sidecar: Sidecar, text: string): number => sidecar.log().split(text).length - 1;

/** The text stands so many times in the log. */
export async function logged(sidecar: Sidecar, text: string, times = 1, ms = 8000): Promise<void> {
  for (const end = Date.now() + ms; count(sidecar, text) < times; await sleep(5)) {
    if (Date.now() > end) throw new Error(`"${text}" is ${count(sidecar, text)} times in the log, not ${times} times:\n${sidecar.log()}`);
  }
}
