// The headers that mark Outrigger's private HTTP leg between sidecars.

/** On every request and answer of the leg; the value is the version of the protocol. */
export const legHeader = 'outrigger-leg';
export const legVersion = '1';
/** On an answer: the gRPC code of a failure of the sidecar itself; the body is its text. */
export const failureHeader = 'outrigger-failure';
