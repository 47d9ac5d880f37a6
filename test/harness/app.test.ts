// The harness app: it records and answers.
import { describe, expect, test } from 'vitest';
import { startApp } from './app.ts';

describe('startApp', () => {
  test('remembers requests as they were written and answers what it is told', async () => {
    const app = await startApp(({ target }) => (target === '/a?b=%20' ? Response.json({ ok: true }) : undefined));
    const base = `http://127.0.0.1:${app.port}`;
    expect(await (await fetch(`${base}/a?b=%20`, { method: 'POST', body: 'x', headers: { 'X-One': '1' } })).json()).toEqual({ ok: true });
    expect((await fetch(`${base}/other`)).status).toBe(404);
    const [first] = await app.saw((request) => request.method === 'POST');
    expect([first?.target, first?.header('x-ONE'), first?.text()]).toEqual(['/a?b=%20', '1', 'x']);
    await app.stop();
  });
});
