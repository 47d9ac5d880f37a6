import { expect, it } from 'vitest';
import { createLogger } from './log.ts';

const lines: string[] = [];
const options = { appId: 'my app', instance: 'host-1', version: '1.18.2', write: (line: string) => void lines.push(line) };

it('writes logfmt with sorted fields, quoting what needs it', () => {
  lines.length = 0;
  createLogger(options).scope('dapr.runtime.http-info').info('HTTP API Called', { method: 'GET /v1.0/x', code: 200 });
  expect(lines[0]).toMatch(/^time="\d{4}-\d\d-\d\dT[\d:.]+Z" level=info msg="HTTP API Called" app_id="my app" code=200 instance=host-1 method="GET \/v1.0\/x" scope=dapr.runtime.http-info type=log ver=1.18.2$/);
});
it('writes JSON with sorted keys', () => {
  lines.length = 0;
  createLogger({ ...options, json: true }).warn('x "y"');
  const record = JSON.parse(lines[0] as string);
  expect(record).toMatchObject({ level: 'warning', msg: 'x "y"', app_id: 'my app', scope: 'dapr.runtime', type: 'log', ver: '1.18.2' });
  expect(Object.keys(record)).toEqual(Object.keys(record).toSorted());
});
it('leaves out what is below the level, but never API records', () => {
  lines.length = 0;
  const log = createLogger({ ...options, level: 'error' });
  log.info('no');
  log.warn('no');
  log.error('yes');
  log.always('yes');
  expect(lines).toHaveLength(2);
});
