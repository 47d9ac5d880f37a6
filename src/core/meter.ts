// What the sidecar counts of itself (Dapr: pkg/diagnostics), as its blocks tell it. Without metrics there is no Meter: not even a clock is read then.
import { DaprError } from './errors.ts';

/** While a call runs up to its first pause the clock stands for all that begins in it: reading it costs more than counting. 0: it does not stand. */
let held = 0;

/** When something begins: milliseconds of a clock that only moves forward. */
export const now = (): number => (held === 0 ? performance.now() : held);
/** When something ends. */
export function nowExactly(): number {
  const reading = performance.now();
  if (held !== 0) held = reading;
  return reading;
}
/** When something ends whose last step was the end of something else, where that was looked at. */
export const sinceThen = (startedAt: number): number => (held > startedAt ? held : nowExactly());
/** The clock stands at this reading, or at a later one that somebody takes. To be released before anything else can run. */
export function holdClock(at: number): void {
  held = at;
}
export function releaseClock(): void {
  held = 0;
}

/** One kind of event, its labels bound beforehand: counted, and how long it took since `startedAt`, which is what `now()` said. */
export type Operation = (succeeded: boolean, startedAt: number) => void;

/** What became of a delivery: `process` for the message, `status` for the attempt (Dapr's labels `process_status` and `status`). */
export type DeliveryStatus = 'success' | 'retry' | 'drop';
/** `startedAt` undefined: the app was not asked, so there is nothing to time. */
export type Delivery = (process: DeliveryStatus, status: DeliveryStatus, startedAt: number | undefined) => void;

export interface BulkDelivery {
  /** One call of the app. */
  done(startedAt: number): void;
  /** What became of the messages in it. */
  messages(process: 'SUCCESS' | 'RETRY' | 'DROP', count: number): void;
}

export type ComponentKind = 'state' | 'configuration' | 'secret' | 'output_binding' | 'crypto';

export interface PolicyEvent {
  /** Of the Resiliency resource. */
  name: string;
  namespace: string;
  policy: 'timeout' | 'retry' | 'circuitbreaker';
  direction: 'inbound' | 'outbound';
  target: string;
  /** State of the circuit breaker, '' for other policies. */
  status: string;
}
/** What resiliency policies do; the shape of blocks/resiliency's ResiliencyObserver. */
export interface ResiliencyMeter {
  loaded(resource: { name: string; namespace: string }): void;
  applied(event: PolicyEvent): void;
  activated(event: PolicyEvent): void;
}

export interface InvocationMeter {
  /** A call to another app goes out; what came back is told to `answered`. */
  sent(appId: string): void;
  answered(appId: string, status: number, startedAt: number): void;
  /** A call of another sidecar came in; `replied` takes the HTTP status, or the gRPC code where the app gave no answer. */
  received(appId: string): void;
  replied(appId: string, status: number): void;
}

export interface Meter {
  operation(kind: ComponentKind, component: string, operation: string): Operation;
  inputEvent(component: string): Operation;
  published(component: string, topic: string): Operation;
  bulkPublished(component: string, topic: string): Operation;
  delivery(component: string, topic: string): Delivery;
  bulkDelivery(component: string, topic: string): BulkDelivery;
  componentLoaded(): void;
  componentOpened(type: string): void;
  componentFailed(type: string, name: string, reason: 'creation' | 'init'): void;
  readonly invocation: InvocationMeter;
  readonly resiliency: ResiliencyMeter;
  /** Told of every error the API answers with; counts only where the Configuration asks for it. */
  failed(error: unknown): void;
}

/** Runs one operation and counts it. What was refused before the component was asked is a DaprError without a cause, and does not count. */
export function measured<T>(operation: Operation, run: () => T | Promise<T>): T | Promise<T> {
  const startedAt = now();
  let result: T | Promise<T>;
  try {
    result = run();
  } catch (error) {
    countFailure(operation, error, startedAt);
    throw error;
  }
  return countResult(operation, result, startedAt);
}
/** Counts what an operation that began at `startedAt` gave, or will give. */
export function countResult<T>(operation: Operation, result: T | Promise<T>, startedAt: number): T | Promise<T> {
  if (result instanceof Promise) return measuredLater(operation, result, startedAt);
  operation(true, startedAt);
  return result;
}
// apart from the above, like all that is seldom needed on the hot path: a function that makes a closure pays for it with each call on some engines
async function measuredLater<T>(operation: Operation, result: Promise<T>, startedAt: number): Promise<T> {
  try {
    const value = await result;
    operation(true, startedAt);
    return value;
  } catch (error) {
    countFailure(operation, error, startedAt);
    throw error;
  }
}
export function countFailure(operation: Operation, error: unknown, startedAt: number): void {
  if (!(error instanceof DaprError) || error.cause !== undefined) operation(false, startedAt);
}

/** Keeps what was bound for a name, for names that callers choose: at most so many, then it begins anew. */
export function bound<T>(bind: (name: string) => T, most = 1024): (name: string) => T {
  const known = new Map<string, T>();
  let last: { name: string; value: T } | undefined;
  return (name) => {
    // mostly the same again, and then nothing has to be hashed
    if (last !== undefined && last.name === name) return last.value;
    let value = known.get(name);
    if (value === undefined) {
      if (known.size >= most) known.clear();
      known.set(name, (value = bind(name)));
    }
    last = { name, value };
    return value;
  };
}
