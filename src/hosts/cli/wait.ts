// `--wait`: asks a sidecar on this machine until its APIs can be used, for at most a minute (Dapr: pkg/runtime/wait.go).
import { setTimeout as sleep } from 'node:timers/promises';
import { stderr } from './output.ts';

const periodMs = 100;
const requestMs = 500;
const totalSeconds = 60;

/** Tells on stderr how it goes; gives up silently after a minute, as daprd does. */
export async function waitForSidecar(port: string): Promise<void> {
  const url = `http://localhost:${port}/v1.0/healthz/outbound`;
  stderr(`Waiting for Dapr to be outbound ready (timeout: ${totalSeconds} seconds): url=${url}\n`);
  let problem = '';
  let toldAt = 0;
  for (const end = Date.now() + totalSeconds * 1000; Date.now() < end; await sleep(periodMs)) {
    try {
      const { status } = await fetch(url, { signal: AbortSignal.timeout(requestMs) });
      if (status === 204) return stderr('Dapr is outbound ready!\n');
      problem = `HTTP status code ${status}`;
    } catch (error) {
      problem = error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
    }
    if (Date.now() - toldAt < 1000) continue;
    toldAt = Date.now();
    stderr(`Dapr outbound NOT ready yet: ${problem}\n`);
  }
  stderr(`timeout waiting for Dapr to become outbound ready. Last error: ${problem}\n`);
}
