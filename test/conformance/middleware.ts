// HTTP middleware in a test: opened as the sidecar does, asked as a pipeline asks.
import type { HttpMiddleware, MiddlewareAnswer, MiddlewareRequest } from '../../src/blocks/middleware/port.ts';
import { answerBytes, bodyOf } from '../../src/blocks/middleware/body.ts';
import { headerOf } from '../../src/core/host.ts';
import { openComponent } from './open.ts';

export interface Asked {
  status: number;
  text: string;
  header(name: string): string | undefined;
  /** What came through to the end of the pipeline; undefined: nothing. */
  passed: { method: string; target: string; body: string; header(name: string): string | undefined } | undefined;
}
export type Ask = (target: string, request?: { method?: string; headers?: string[]; body?: string; remoteAddress?: string; answer?: Partial<MiddlewareAnswer> }) => Promise<Asked>;

/** Rejects as loading does. Behind the component everything answers 200 `Hello World`. */
export async function openMiddleware(name: string, metadata: Record<string, string>): Promise<Ask> {
  const { port } = await openComponent<HttpMiddleware>(`middleware.http.${name}`, metadata);
  return async (target, { method = 'GET', headers = [], body, remoteAddress = '127.0.0.1:5000', answer = {} } = {}) => {
    let passed: Asked['passed'];
    const request: MiddlewareRequest = { method, target, headers, body: body === undefined ? null : bodyOf(new TextEncoder().encode(body)), scheme: '', remoteAddress };
    const answered = await port.handle(request, async (changed) => {
      const text = changed.body === null ? '' : new TextDecoder().decode(await changed.body.bytes());
      passed = { method: changed.method, target: changed.target, body: text, header: (wanted) => headerOf(changed.headers, wanted.toLowerCase()) };
      return { status: 200, headers: ['Content-Type', 'text/plain'], body: 'Hello World', ...answer };
    });
    return { status: answered.status, text: new TextDecoder().decode(await answerBytes(answered)), header: (wanted) => headerOf(answered.headers, wanted.toLowerCase()), passed };
  };
}
