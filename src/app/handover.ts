// What outlives a restart inside the process: it belongs to the app and to other sidecars, not to one run.
import type { Resolution } from '../blocks/invoke/addresses.ts';
import type { Configuration } from '../blocks/resources/kinds.ts';
import type { Turns } from './inbound/turns.ts';

export interface Handover {
  /** Probes say that the app is healthy: calls need not wait for the first probe of the new run. */
  appHealthy: boolean;
  /** The places of --app-max-concurrency: calls that were begun in the old run keep theirs. */
  turns: Turns | undefined;
  /** The open name resolver, where the Configuration still asks for the same: others find this sidecar all the time. */
  resolution: Resolution;
}

/** Whether two Configurations want one and the same resolver. */
export const sameResolver = (one: Configuration, other: Configuration): boolean => JSON.stringify(one.nameResolution) === JSON.stringify(other.nameResolution);
