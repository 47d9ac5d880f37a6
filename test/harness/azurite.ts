// Azurite, Microsoft's emulator of Azure Storage, as the npm package azurite brings it, on free loopback ports.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort, waitForPort } from './ports.ts';
import { start } from './process.ts';

/** The account every Azurite has; its key is public. */
export const azuriteAccount = { accountName: 'devstoreaccount1', accountKey: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==' };

const packages = resolve(import.meta.dirname, '../../node_modules');

/** One of its services, without files on disk that outlive it. `tls`, files: HTTPS, and tokens of Microsoft Entra ID are taken (audience, issuer and time are looked at, not the signature). */
export async function startAzurite(service: 'blob' | 'queue', tls?: { cert: string; key: string }) {
  const [port, folder] = [await freePort(), mkdtempSync(join(tmpdir(), 'outrigger-azurite-'))];
  // Azurite wants a newer Node than the oldest we run on.
  const node = join(packages, '.bin/node');
  const running = start([node, join(packages, `azurite/dist/src/${service}/main.js`), `--${service}Host`, '127.0.0.1', `--${service}Port`, String(port), '--location', folder, '--silent', '--disableProductStyleUrl', '--skipApiVersionCheck', ...(tls === undefined ? [] : ['--oauth', 'basic', '--cert', tls.cert, '--key', tls.key])], { cwd: folder });
  await Promise.race([waitForPort(port, 60_000), running.exited.then(() => { throw new Error(`azurite ended: ${running.log()}`); })]);
  return {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    stop: async () => {
      await running.stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
