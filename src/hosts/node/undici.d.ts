// undici's client alone: the package's entry also loads fetch, caches, WebSocket and mocks, 60 ms that a sidecar's start cannot spare.
declare module 'undici/lib/dispatcher/client.js' {
  import type { Client } from 'undici';
  const client: typeof Client;
  export default client;
}
