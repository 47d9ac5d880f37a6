import { createServer as createHttp2, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { headerOf } from '../../core/host.ts';
import { createNodeHttpClient } from './http-client.ts';

it('requests go out over HTTP/2 without TLS where the app wants it so', async () => {
  const app: Http2Server = createHttp2();
  app.on('stream', (stream: ServerHttp2Stream, headers) => { stream.respond({ ':status': 200, 'x-method': headers[':method'] as string }); stream.end('two'); });
  await new Promise<void>((done) => app.listen(0, '127.0.0.1', done));
  const own = createNodeHttpClient();
  const answer = await own.send({ method: 'PUT', origin: `http://127.0.0.1:${(app.address() as AddressInfo).port}`, path: '/x', headers: [], body: Buffer.from('x'), h2c: true });
  expect([answer.status, headerOf(answer.headers, 'x-method'), await new Response(answer.body as BodyInit).text()]).toEqual([200, 'PUT', 'two']);
  await own.close();
  app.close();
});
