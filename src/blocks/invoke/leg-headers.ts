// The headers that mark Outrigger's private HTTP leg between sidecars.
import type { Sender } from './remote-leg.ts';

/**
 * On every request and answer of the leg; the value begins with the version of the protocol.
 * In requests the sender follows, percent-encoded words apart by blanks: app id, namespace, address, host name, called app id.
 * One short header instead of six: parsing and writing headers is most of what a hop costs.
 */
export const legHeader = 'outrigger-leg';
export const legVersion = '1';
/** On an answer: the gRPC code of a failure of the sidecar itself; the body is its text. */
export const failureHeader = 'outrigger-failure';

export interface Envelope {
  version: string;
  sender: Sender;
  calleeId: string;
}
export const writeEnvelope = ({ appId, namespace, address, hostname }: Sender, calleeId: string): string => [legVersion, ...[appId, namespace, address, hostname, calleeId].map(encodeURIComponent)].join(' ');

/** undefined where the value is none. */
export function readEnvelope(value: string): Envelope | undefined {
  const [version = '', ...words] = value.split(' ');
  try {
    const [appId, namespace, address, hostname, calleeId] = words.map(decodeURIComponent);
    if (appId === undefined || namespace === undefined || address === undefined || hostname === undefined || calleeId === undefined) return undefined;
    return { version, sender: { appId, namespace, address, hostname }, calleeId };
  } catch {
    return undefined;
  }
}
