// The ports of a Node-compatible host (Node, Bun and Deno share them): files, SQLite, TCP probes, outbound HTTP.
import { watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { FilesPort, Host, HttpPort, RuntimeName, TcpPort } from '../../core/host.ts';
import { disk } from './disk.ts';
import { http2 } from './http2-client.ts';
import { nodeMulticast } from './multicast.ts';
import { createProcessPort } from './process-facts.ts';
import { sqlite } from './sqlite.ts';

const files: FilesPort = {
  read: async (path) => readFile(path),
  list: async (path) => {
    const names = (await readdir(path)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return Promise.all(names.map(async (name) => {
      const info = await stat(join(path, name)).catch(() => undefined);
      return { name, kind: info?.isFile() ? ('file' as const) : info?.isDirectory() ? ('directory' as const) : ('other' as const) };
    }));
  },
  resolve: (path) => resolve(path),
  watch: (path, onChange) => {
    const watcher = watch(path, { persistent: false }, () => onChange());
    // the directory went away: whoever looks will find out
    watcher.on('error', () => onChange());
    return { close: () => watcher.close() };
  },
};

const tcp: TcpPort = {
  probe: async (host, port, { timeoutMs, tls }) => {
    const secure = tls ? await import('node:tls') : undefined;
    const { connect } = await import('node:net');
    return new Promise((done) => {
      const socket = secure ? secure.connect({ host, port, rejectUnauthorized: false }) : connect({ host, port });
      const end = (open: boolean) => { clearTimeout(timer); socket.destroy(); done(open); };
      const timer = setTimeout(() => end(false), timeoutMs);
      socket.once(tls ? 'secureConnect' : 'connect', () => end(true));
      socket.once('error', () => end(false));
    });
  },
};

export interface NodeHostOptions {
  runtime: RuntimeName;
  http: HttpPort;
  /** Address other sidecars reach this machine at. */
  address: string;
  write(line: string): void;
}
export const createNodeHost = ({ runtime, http, address, write }: NodeHostOptions): Host & { files: FilesPort } => ({
  runtime, env: process.env, hostname: hostname(), address, http, files, disk, sqlite, process: createProcessPort(runtime), tcp, http2, multicast: nodeMulticast, maxParallel: 1024, background: true, write,
});
