// Puts load on one port: as fast as answers come (saturating) or at a fixed rate, whatever the answers do (open loop).
import { openConnection } from './connection.ts';
import { listenForDeliveries, publishRequest } from './deliveries.ts';
import { type Quantiles, quantiles } from './samples.ts';

export type Job = {
  port: number;
  connections: number;
  /** Measured time; `warmMs` before it is not measured. */
  ms: number;
  warmMs: number;
  /** Requests per second; without it saturating. */
  rate?: number;
  /** Whole requests as text, sent in turn. */
  requests?: string[];
  /** Or: messages published to this path; one is done when it has been delivered. */
  publish?: string;
  /** Messages in one publish request (bulk publish); default 1. Figures count messages. */
  entries?: number;
};
export type Result = {
  /** Completed per second. */
  perSecond: number;
  latency: Quantiles;
  /** Answers that were no 2xx, and broken connections. */
  errors: number;
  /** What was still missing two seconds after the end: requests without an answer, messages that did not arrive. */
  lost: number;
  /** Of a fixed-rate run: the share of requests that could be completed. */
  kept: number;
};

/** Two milliseconds are the generator's own timer; whoever is later than that waited for a free connection. */
const timerSlackMs = 2;
const drainMs = 2000;

export async function run(job: Job): Promise<Result> {
  const load = job.publish === undefined ? requestLoad(job) : publishLoad(job, job.publish);
  const { entries = 1 } = job;
  const begin = performance.now() + job.warmMs;
  const end = begin + job.ms;
  const samples: number[] = [];
  let errors = 0;
  let due = 0; // of a fixed rate: what is meant to start within the measured time

  // Per connection: when its request was meant to start; -1 while it is free.
  const started = new Float64Array(job.connections).fill(-1);
  const free: number[] = [];
  const late: number[] = []; // intended times that found no free connection
  const begun = (slot: number, at: number) => {
    started[slot] = at;
    load.send(slot);
  };
  const completed = (slot: number, ok: boolean) => {
    const at = started[slot] as number;
    if (at < 0) return;
    const now = performance.now();
    // saturating counts what ends in the measured time, a fixed rate what was meant to start in it
    if (job.rate === undefined ? now >= begin && now < end : at >= begin && at < end) {
      samples.push(now - at);
      if (!ok) errors++;
    }
    started[slot] = -1;
    if (job.rate === undefined && now < end) return begun(slot, now);
    const waiting = late.shift();
    if (waiting === undefined) free.push(slot);
    else begun(slot, waiting);
  };
  await load.open(completed);

  if (job.rate === undefined) {
    for (let slot = 0; slot < job.connections; slot++) begun(slot, performance.now());
    await until(end);
  } else {
    for (let slot = 0; slot < job.connections; slot++) free.push(slot);
    const gap = (1000 * entries) / job.rate;
    for (let next = performance.now(); next < end; ) {
      for (let now = performance.now(); next <= now && next < end; next += gap) {
        const slot = free.pop();
        const at = now - next < timerSlackMs ? now : next;
        if (at >= begin && at < end) due++; // as completed() counts
        if (slot === undefined) late.push(at);
        else begun(slot, at);
      }
      await until(performance.now() + 1);
    }
  }
  for (const stop = performance.now() + drainMs; performance.now() < stop && started.some((at) => at >= 0); ) await until(performance.now() + 5);
  const lost = started.reduce((count, at) => count + (at >= 0 ? 1 : 0), 0) + late.length;
  load.close();
  return { perSecond: (samples.length * entries) / (job.ms / 1000), latency: quantiles(samples), errors, lost, kept: due ? samples.length / due : 1 };
}

type Load = { open(completed: (slot: number, ok: boolean) => void): Promise<void>; send(slot: number): void; close(): void };

function requestLoad({ port, connections, requests = [] }: Job): Load {
  const bytes = requests.map((text) => Buffer.from(text));
  let turn = 0;
  let lines: Awaited<ReturnType<typeof openConnection>>[] = [];
  return {
    async open(completed) {
      lines = await Promise.all(Array.from({ length: connections }, (_, slot) => openConnection(port, (status) => completed(slot, status >= 200 && status < 300))));
    },
    send: (slot) => lines[slot]?.send(bytes[turn++ % bytes.length] as Buffer),
    close: () => {
      for (const line of lines) line.close();
    },
  };
}

// A request is complete when it was answered and all its messages have been delivered, in whichever order.
let deliveries: { port: number; handler: (seq: number) => void } | undefined;

/** Has to be open before the sidecar that delivers here is started. */
export async function openDeliveries(port: number): Promise<void> {
  const target = { port, handler: (_seq: number) => {} };
  deliveries = target;
  await listenForDeliveries(port, (seq) => target.handler(seq));
}

function publishLoad({ port, connections, entries = 1 }: Job, path: string): Load {
  const request = publishRequest(port, path, entries);
  let seq = Math.floor(Math.random() * 1000) * connections * 1000; // leftovers of an earlier run do not count here
  /** Per connection: what its request still waits for, the answer and the messages. */
  const missing = new Int32Array(connections);
  let lines: Awaited<ReturnType<typeof openConnection>>[] = [];
  const slots = new Map<number, number>();
  return {
    async open(completed) {
      const part = (slot: number, ok: boolean) => {
        if (missing[slot] === 0) return;
        missing[slot] = ok ? (missing[slot] as number) - 1 : 0;
        if (missing[slot] === 0) completed(slot, ok);
      };
      if (deliveries)
        deliveries.handler = (number) => {
          const slot = slots.get(number);
          if (slot === undefined) return;
          slots.delete(number);
          part(slot, true);
        };
      lines = await Promise.all(Array.from({ length: connections }, (_, slot) => openConnection(port, (status) => part(slot, status >= 200 && status < 300))));
    },
    send: (slot) => {
      const first = seq;
      seq += entries;
      for (let number = first; number < seq; number++) slots.set(number, slot);
      missing[slot] = 1 + entries;
      lines[slot]?.send(request.numbered(first));
    },
    close: () => {
      for (const line of lines) line.close();
    },
  };
}

const until = (at: number) => new Promise<void>((done) => setTimeout(done, Math.max(0, at - performance.now())));
