// A contract server of the few calls of Azure Resource Manager that components make: what is put is there.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** `knows`: whether a bearer token is one for it. */
export async function startResourceManager(knows: (token: string) => boolean) {
  const there = new Map<string, unknown>();
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://manager');
    const answer = (status: number, body: unknown) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    const failed = (status: number, code: string, message: string) => answer(status, { error: { code, message } });
    requests.push(`${request.method} ${pathname}`);
    if (!knows((request.headers.authorization ?? '').replace(/^Bearer /, ''))) return failed(401, 'InvalidAuthenticationToken', 'The access token is invalid.');
    if (searchParams.get('api-version') !== '2021-11-01') return failed(400, 'InvalidApiVersionParameter', 'api-version');
    if (pathname.endsWith('/forbidden')) return failed(403, 'AuthorizationFailed', 'not allowed');
    if (request.method === 'PUT') {
      there.set(pathname, JSON.parse(text));
      return answer(200, there.get(pathname));
    }
    return there.has(pathname) ? answer(200, there.get(pathname)) : failed(404, 'ResourceNotFound', 'not found');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, there, requests, stop: () => new Promise((resolve) => server.close(resolve)) };
}
