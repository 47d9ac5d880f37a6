import { expect, test } from 'vitest';
import { daprdFlags } from './daprd-flags.ts';
import { parseFlags } from './flag-set.ts';
import { appEnvironment, daprdArguments, runFlags } from './run-flags.ts';

const ports = { 'dapr-http-port': 3501, 'dapr-grpc-port': 50002, 'dapr-internal-grpc-port': 50003, 'metrics-port': 9091 };
const read = (...argv: string[]) => parseFlags(runFlags, argv, { interspersed: false });
const asDaprd = (argv: string[], folders: string[] = [], config = '') => parseFlags(daprdFlags, daprdArguments(read(...argv), { appId: 'a', ports, folders, config }));

test('short forms, and where the command begins', () => {
  const { values, rest } = read('-a', 'shop', '-p', '3000', '-P', 'https', '-H', '3501', '--', 'node', 'app.js', '-p', '1');
  expect(values).toMatchObject({ 'app-id': 'shop', 'app-port': 3000, 'app-protocol': 'https', 'dapr-http-port': 3501 });
  expect(rest).toEqual(['node', 'app.js', '-p', '1']);
  expect(read('--app-id=x', 'python3', 'app.py', '--debug').rest).toEqual(['python3', 'app.py', '--debug']);
});

test('what daprd is told', () => {
  const { values, problem } = asDaprd(['-p', '3000', '-c', 'my.yaml', '--app-health-threshold=0', '--log-as-json', '--resources-path', 'a,b']);
  expect(problem).toBeUndefined();
  expect(values).toMatchObject({
    'app-id': 'a', 'app-port': '3000', 'dapr-http-port': '3501', 'dapr-grpc-port': '50002', 'dapr-internal-grpc-port': '50003', 'metrics-port': '9091',
    config: ['my.yaml'], 'resources-path': ['a', 'b'], 'log-as-json': true, 'app-health-threshold': 3,
  });
});

test('without an app port none is passed on', () => expect(asDaprd(['-p', '0']).values['app-port']).toBe(''));

test('the folders of `dapr init` are used where nothing else is given, commas and all', () => {
  expect(asDaprd([], ['/home/me, you/.dapr/components'], '/c.yaml').values).toMatchObject({ 'resources-path': ['/home/me, you/.dapr/components'], config: ['/c.yaml'] });
  expect(asDaprd(['-d', 'mine', '-c', 'own.yaml'], ['/usual'], '/c.yaml').values).toMatchObject({ 'resources-path': ['mine'], config: ['own.yaml'] });
});

test('what the app finds in its environment', () => {
  expect(appEnvironment(read('-p', '3000'), { appId: 'a', ports })).toEqual({
    APP_ID: 'a', APP_CHANNEL_ADDRESS: '127.0.0.1', APP_PORT: '3000', APP_PROTOCOL: 'http', DAPR_HTTP_PORT: '3501', DAPR_GRPC_PORT: '50002', DAPR_METRICS_PORT: '9091',
  });
  expect(appEnvironment(read(), { appId: 'a', ports })).not.toHaveProperty('APP_PORT');
});
