// The pauses between tries of one message that `backOff…` metadata describes (dapr/kit retry/retry.go).
import { MetadataError } from '../core/metadata.ts';
import { pause } from '../core/pause.ts';

export interface RetryPolicy {
  exponential: boolean;
  durationMs: number;
  initialMs: number;
  maxMs: number;
  /** 0: for ever. */
  maxElapsedMs: number;
  /** Negative: for ever. */
  maxRetries: number;
}
interface Fields {
  backOffPolicy: string;
  backOffDuration: number;
  backOffInitialInterval: number;
  backOffMaxInterval: number;
  backOffMaxElapsedTime: number;
  backOffMaxRetries: number;
}

export function retryPolicy(m: Fields): RetryPolicy {
  const policy = m.backOffPolicy.toLowerCase();
  if (policy !== 'constant' && policy !== 'exponential') throw new MetadataError(`unexpected back off policy type: ${m.backOffPolicy}`);
  return { exponential: policy === 'exponential', durationMs: m.backOffDuration, initialMs: m.backOffInitialInterval, maxMs: m.backOffMaxInterval, maxElapsedMs: m.backOffMaxElapsedTime, maxRetries: m.backOffMaxRetries };
}

/** Tries until it succeeds, the policy ends or the signal aborts; rejects with the last error. `onFirst` hears of the first failure only, `onRecovered` of a success after it. */
export async function withRetries(policy: RetryPolicy | undefined, signal: AbortSignal, work: () => Promise<void>, onFirst: (error: unknown) => void, onRecovered: () => void): Promise<void> {
  const started = Date.now();
  let wait = policy?.initialMs ?? 0;
  for (let tries = 0; ; tries++) {
    try {
      await work();
      if (tries > 0) onRecovered();
      return;
    } catch (error) {
      if (policy === undefined || signal.aborted || (policy.maxRetries >= 0 && tries >= policy.maxRetries)) throw error;
      const next = policy.exponential ? wait * (0.5 + Math.random()) : policy.durationMs;
      if (policy.exponential && policy.maxElapsedMs > 0 && Date.now() - started + next > policy.maxElapsedMs) throw error;
      if (tries === 0) onFirst(error);
      wait = Math.min(policy.maxMs, wait * 1.5);
      await pause(next, signal);
      if (signal.aborted) throw error;
    }
  }
}
