// The outbound connections on Bun, which has TCP of its own under them: their unit tests, run there.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { binary } from '../harness/sidecar.ts';

test('outbound connections keep their word on Bun, too', async () => {
  const { stderr } = await promisify(execFile)(binary('bun'), ['test', 'src/hosts/http1'], { cwd: new URL('../..', import.meta.url).pathname });
  const [, passed] = /(\d+) pass\n\s+0 fail/.exec(stderr) ?? [];
  expect(Number(passed), stderr).toBeGreaterThan(40);
});
