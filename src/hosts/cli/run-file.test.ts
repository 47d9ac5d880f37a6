import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readRunFile } from './run-file.ts';

const there = new Set(['/srv/orders', '/srv/checkout', '/srv/resources', '/srv/checkout/own', '/srv/orders/.dapr/config.yaml']);
const read = (text: string) => readRunFile(parse(text), '/srv/dapr.yaml', (path) => there.has(path));

describe('readRunFile', () => {
  it('plans each app: flags, folders, environment', () => {
    const { name, apps } = read(`
version: 1
name: shop
common:
  resourcesPath: ./resources/
  logLevel: debug
  enableApiLogging: true
  env: { A: common, B: 2 }
apps:
  - appDirPath: ./orders/
    appPort: 5001
    command: ["npm", "run", "start"]
    env: { A: own }
  - appID: pay
    appDirPath: checkout
    resourcesPaths: [own]
    logLevel: warn
    enableApiLogging: false
    daprdLogDestination: console
`);
    expect(name).toBe('shop');
    expect(apps[0]).toEqual({
      appId: 'orders', directory: '/srv/orders', command: ['npm', 'run', 'start'], env: { A: 'own', B: '2' },
      flags: ['--app-id', 'orders', '--app-port=5001', '--log-level=debug', '--enable-api-logging=true', '--resources-path', '"/srv/resources"', '--config', '/srv/orders/.dapr/config.yaml'],
      appLog: { console: true, file: true }, daprdLog: { console: false, file: true },
    });
    // a value of false in an app is overwritten by common, as in Dapr
    expect(apps[1]?.flags).toEqual(['--app-id', 'pay', '--log-level=warn', '--enable-api-logging=true', '--resources-path', '"/srv/checkout/own"']);
    expect(apps[1]?.daprdLog).toEqual({ console: true, file: false });
  });

  it.each([
    ['version: 1', 'apps is missing or empty'],
    ['apps: [{appDirPath: orders}]', 'version is missing'],
    ['version: 1\napps: [{}]', 'apps[0].appDirPath is missing'],
    ['version: 1\napps: [{appDirPath: nowhere}]', 'apps[0].appDirPath: there is no /srv/nowhere'],
    ['version: 1\napps: [{appDirPath: orders, resourcesPath: gone}]', 'apps[0].resourcesPaths: there is no /srv/orders/gone'],
    ['version: 1\napps: [{appDirPath: orders, appLogDestination: moon}]', "apps[0].appLogDestination: 'moon' is none of"],
    ['- a', 'is no mapping'],
  ])('refuses %j', (text, message) => expect(() => read(text)).toThrow(message));
});
