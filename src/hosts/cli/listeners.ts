// The ports and sockets of the process: HTTP API on every listen address, public, metrics and internal port, opened and closed together.
import { lstat, rm } from 'node:fs/promises';
import type { HandleCall } from '../../app/http/api.ts';
import type { Logger } from '../../core/log.ts';
import type { Gates } from './gate.ts';
import { patiently } from './network.ts';
import type { Launch } from './options.ts';
import type { ListenAt, Listener, Platform } from './platform.ts';

export interface OpenPorts {
  /** Takes no more connections, resolves when what is in hand is answered. */
  close(): Promise<void>;
  destroy(): void;
}
export interface Listeners extends OpenPorts {
  /** Resolves when all of them are open; rejects with the one that cannot be. A stop ends it early. */
  open(): Promise<void>;
}
interface Context {
  platform: Platform;
  log: Logger;
  stop: AbortSignal;
}

export function createListeners(launch: Launch, internalPort: number, gates: Gates, context: Context): Listeners {
  const { stop } = context;
  const ports: OpenPorts[] = [];
  const all = async () => {
    if (!stop.aborted) ports.push(await openApi(launch, gates.api, context));
    if (!stop.aborted && launch.publicPort !== undefined) ports.push(await openPublic(launch, gates.public, context));
    if (!stop.aborted && launch.settings.metrics) ports.push(await openMetrics(launch, gates.metrics, context));
    if (!stop.aborted) ports.push(await openInternal(launch, internalPort, gates.internal, context));
  };
  return {
    open: () => all().catch((error: unknown) => {
      if (!stop.aborted) throw error; // a port that a stop came before is no trouble
    }),
    close: async () => { await Promise.all(ports.map((one) => one.close())); },
    destroy: () => {
      for (const one of ports) one.destroy();
    },
  };
}

/** Opens the HTTP API on every address. Resolves once one is open (the others go on trying for 10 s), rejects when none is. */
async function openApi(launch: Launch, handle: HandleCall, { platform, log, stop }: Context): Promise<OpenPorts> {
  const open: Listener[] = [];
  const scoped = log.scope('dapr.runtime.http');
  const { socketFolder, listenAddresses, maxHeaderBytes, http2 } = launch;
  const { appId, httpPort } = launch.settings;
  let closing = false;
  const socket = `${socketFolder}/dapr-${appId}-http.socket`;
  const attempts = socketFolder !== ''
    ? [removeDead(socket).then(() => platform.listen(handle, { path: socket }, { maxHeaderBytes, http2 }))]
    : listenAddresses.map((address) => patiently(() => platform.listen(handle, at(address, httpPort), { maxHeaderBytes, http2 }), stop));
  const opened = attempts.map(async (attempt, i) => {
    const name = socketFolder !== '' ? `UNIX socket: ${socket}` : `TCP address: ${listenAddresses[i]}:${httpPort}`;
    try {
      const listener = await attempt;
      open.push(listener);
      if (closing) listener.destroy();
      scoped.info(`HTTP server listening on ${name}`);
    } catch (error) {
      scoped.debug(`Failed to listen for HTTP server on ${name} with error: ${reason(error)}`);
      throw error;
    }
  });
  try {
    await Promise.any(opened);
  } catch (error) {
    const first = (error as AggregateError).errors[0];
    throw new Error(`failed to start HTTP server: ${socketFolder !== '' ? '' : 'could not listen on any endpoint: '}${reason(first)}`);
  }
  for (const one of opened) one.catch(() => {}); // told above
  log.info(socketFolder !== '' ? 'HTTP server is running on a Unix Domain Socket' : `HTTP server is running on port ${httpPort}`);
  return {
    close: async () => {
      closing = true;
      await Promise.all(open.map((listener) => listener.close()));
    },
    destroy: () => {
      closing = true;
      for (const listener of open) listener.destroy();
    },
  };
}

/** Health and metadata on a port of their own; tried once. */
async function openPublic(launch: Launch, handle: HandleCall, { platform }: Context): Promise<OpenPorts> {
  try {
    return await platform.listen(handle, at(launch.publicAddress, launch.publicPort ?? 0), { maxHeaderBytes: launch.maxHeaderBytes });
  } catch (error) {
    throw new Error(`failed to start public HTTP server: ${reason(error)}`);
  }
}

/** The metrics; tried once. */
async function openMetrics(launch: Launch, handle: HandleCall, { platform, log }: Context): Promise<OpenPorts> {
  const name = `${launch.metricsAddress}:${launch.metricsPort}`;
  try {
    const listener = await platform.listen(handle, at(launch.metricsAddress, launch.metricsPort), { maxHeaderBytes: launch.maxHeaderBytes });
    log.info(`metrics server started on ${name}/`);
    return listener;
  } catch (error) {
    throw new Error(`failed to listen on ${name}: ${reason(error)}`);
  }
}

/** Room for an app's whole header block and what the calling sidecar adds; the limit on the caller's headers is kept where they come in. */
const internalHeaderBytes = 1 << 20;

/** Where other sidecars call; retried like the API. */
async function openInternal(launch: Launch, port: number, handle: HandleCall, { platform, log, stop }: Context): Promise<OpenPorts> {
  try {
    const listener = await patiently(() => platform.listen(handle, at(launch.internalAddress, port), { maxHeaderBytes: internalHeaderBytes }), stop);
    log.info(`Internal server (calls from other sidecars) is running on ${launch.internalAddress}:${port}`);
    return listener;
  } catch (error) {
    throw new Error(`failed to start internal server: ${reason(error)}`);
  }
}

/** Removes a socket nobody listens on any more, which a killed sidecar left behind; everything else is left for the bind to refuse. */
async function removeDead(path: string): Promise<void> {
  const { connect } = await import('node:net');
  const info = await lstat(path).catch(() => undefined);
  if (!info?.isSocket()) return;
  const dead = await new Promise<boolean>((done) => {
    const socket = connect(path, () => {
      socket.destroy();
      done(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED'));
  });
  if (dead) await rm(path, { force: true });
}

const at = (address: string, port: number): ListenAt => ({ host: address.replace(/^\[(.*)\]$/, '$1'), port });
const reason = (error: unknown) => (error instanceof Error ? error.message : String(error));
