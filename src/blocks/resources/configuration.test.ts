import { describe, expect, test } from 'vitest';
import { loadConfiguration } from './configuration.ts';
import { expandEnvironment } from './configuration-yaml.ts';
import { enabledFeatures } from './features.ts';
import { defaultConfiguration } from './kinds.ts';

const load = (spec: string | string[], env: Record<string, string> = {}) => loadConfiguration([spec].flat().map((text, i) => ({ file: `${i}.yaml`, text: `spec:\n${text.replace(/^/gm, '  ')}` })), env);

test('without files: the defaults', () => expect(loadConfiguration([], {})).toEqual(defaultConfiguration()));
test.each(['', '# nothing', '---\n', 'other: 1', 'spec:', 'spec: {}'])('a file that says nothing: %j', (text) => expect(loadConfiguration([{ file: 'c', text }], {})).toEqual(defaultConfiguration()));
test('only the first document counts, kind is not looked at', () => {
  const text = 'kind: Whatever\nspec: {tracing: {samplingRate: 1.0}}\n---\nspec: {tracing: {samplingRate: 2}}';
  expect(loadConfiguration([{ file: 'c', text }], {}).tracing.samplingRate).toBe('1.0');
});

describe('typed scalars', () => {
  test('where a text belongs a number keeps its characters', () => expect(load('tracing: {samplingRate: 0x10}').tracing.samplingRate).toBe('0x10'));
  test.each([['true', true], ['True', true], ['yes', true], ['"yes"', true], ['on', true], ['Y', true], ['"no"', false], ['OFF', false], ['~', false]])('boolean %s', (text, on) => expect(load(`logging: {apiLogging: {enabled: ${text}}}`).logging.apiLogging.enabled).toBe(on));
  test.each(['"true"', 'yEs', '1', 'text', '[]'])('%s is no boolean', (text) => expect(() => load(`logging: {apiLogging: {enabled: ${text}}}`)).toThrow(/0\.yaml: line 2: spec\.logging\.apiLogging\.enabled must be true or false/));
  test('keys are exact', () => expect(load('Tracing: {samplingRate: "1"}\ntracing: {SamplingRate: "1"}').tracing.samplingRate).toBe(''));
  test('anything goes into the configuration of a name resolver', () => {
    expect(load('nameResolution: {component: c, configuration: {n: 1, t: "1", b: true, l: [1, x], o: {d: null}}}').nameResolution).toEqual({ component: 'c', version: 'v1', configuration: { n: 1, t: '1', b: true, l: [1, 'x'], o: { d: null } } });
  });
});

describe('several files', () => {
  test('scalars and lists are replaced, objects merged', () => {
    const { features, tracing, nameResolution } = load(['features: [{name: a, enabled: true}]\ntracing: {samplingRate: "1", stdout: true}\nnameResolution: {component: a, version: v3}', 'features: [{name: b, enabled: true}]\ntracing: {stdout: false}\nnameResolution: {component: b}']);
    expect(features).toEqual([{ name: 'b', enabled: true }]);
    expect(tracing).toEqual({ samplingRate: '1', stdout: false });
    expect(nameResolution).toEqual({ component: 'b', version: 'v3', configuration: {} });
  });
  test('null takes an object away and leaves a scalar', () => {
    const { zipkin, samplingRate } = load(['tracing: {samplingRate: "1", zipkin: {endpointAddress: http://z}}', 'tracing: {samplingRate: null, zipkin: null}']).tracing;
    expect([samplingRate, zipkin]).toEqual(['1', undefined]);
  });
  test('a fault is told with its file', () => expect(() => load(['{}', 'features: 1'])).toThrow(/error loading configuration: 1\.yaml: line 2: spec\.features must be a list/));
});

test('metrics wins over metric, part by part', () => {
  expect(load('metric: {enabled: true, recordErrorCodes: true, latencyDistributionBuckets: [1]}\nmetrics: {enabled: false, latencyDistributionBuckets: [2, 3], http: {increasedCardinality: false}}').metrics).toEqual({
    enabled: false, recordErrorCodes: true, latencyDistributionBuckets: [2, 3], http: { increasedCardinality: false, pathMatching: [], excludeVerbs: false }, rules: [],
  });
});
test('pipelines get their default version', () => expect(load('httpPipeline: {handlers: [{name: a, type: middleware.http.x}, {name: b, type: t, version: v2}]}').httpPipeline).toEqual([{ name: 'a', type: 'middleware.http.x', version: 'v1' }, { name: 'b', type: 't', version: 'v2' }]));

describe('secret scopes', () => {
  test('words in any case', () => expect(load('secrets: {scopes: [{storeName: a, defaultAccess: Deny, allowedSecrets: [x]}, {storeName: b}]}').secrets.scopes).toEqual([{ storeName: 'a', defaultAccess: 'deny', allowedSecrets: ['x'], deniedSecrets: [] }, { storeName: 'b', defaultAccess: 'allow', allowedSecrets: [], deniedSecrets: [] }]));
  test('refused', () => {
    expect(() => load('secrets: {scopes: [{storeName: a}, {storeName: a}]}')).toThrow('error loading configuration: a storeName is repeated in secrets configuration');
    expect(() => load('secrets: {scopes: [{storeName: a, defaultAccess: maybe}]}')).toThrow('error loading configuration: defaultAccess maybe can be either allow or deny');
  });
});

describe('access control', () => {
  test('a missing default action allows, an empty one is kept', () => {
    expect(load('accessControl: {}').accessControl).toEqual({ defaultAction: 'allow', trustDomain: 'public', policies: [] });
    expect(load('accessControl: {defaultAction: ""}').accessControl?.defaultAction).toBe('');
    expect(load('{}').accessControl).toBeUndefined();
  });
  test('every policy names its app, trust domain and namespace', () => {
    expect(() => load('accessControl: {policies: [{appId: a}, {appId: b, trustDomain: t}, {appId: c, trustDomain: t, namespace: n}]}')).toThrow('invalid access control spec. missing trustdomain for apps: [a], missing namespace for apps: [a b], missing app name on at least one of the app policies: false');
  });
});

describe('OTEL variables', () => {
  const otel = (env: Record<string, string>, spec = '{}') => load(spec, Object.fromEntries(Object.entries(env).map(([name, value]) => [`OTEL_EXPORTER_OTLP_${name}`, value]))).tracing;
  test('an endpoint turns tracing on', () => expect(otel({ ENDPOINT: 'https://x:4317', TRACES_PROTOCOL: 'http/protobuf', INSECURE: 'true', HEADERS: 'a=b%20c, d = e=f', TIMEOUT: '1500' })).toMatchObject({ samplingRate: '1', otel: { endpointAddress: 'x:4317', protocol: 'http', isSecure: false, headers: ['a=b c', 'd=e=f'], timeoutMs: 1500 } }));
  test('the form for traces goes first; an unset protocol is grpc', () => expect(otel({ ENDPOINT: 'a', TRACES_ENDPOINT: 'b' }).otel).toMatchObject({ endpointAddress: 'b', protocol: 'grpc', isSecure: true }));
  test('an endpoint in the file makes them all idle', () => expect(otel({ ENDPOINT: 'a', HEADERS: 'broken' }, 'tracing: {otel: {endpointAddress: f, protocol: grpc}}').otel).toMatchObject({ endpointAddress: 'f', headers: [] }));
  test.each([[{ HEADERS: 'key' }, /missing '=' parse headers inputkey/], [{ HEADERS: 'a b=c' }, /invalid header keya b/], [{ HEADERS: 'a=%zz' }, /URL-encoded/], [{ TIMEOUT: '10s' }, /whole number/]])('%j is refused', (env, message) => expect(() => otel(env)).toThrow(message));
});
test('exporters that cannot be', () => {
  expect(() => load('tracing: {otel: {protocol: udp, endpointAddress: x}}')).toThrow('failed to setup tracing: invalid protocol udp provided for Otel endpoint');
  expect(() => load('tracing: {zipkin: {endpointAddress: nowhere}}')).toThrow('invalid collector URL "nowhere"');
});

// biome-ignore lint/suspicious/noTemplateCurlyInString: Go's form of a variable is what is tested
test.each([['a $X b', 'a 1 b'], ['${X}y', '1y'], ['$Xy', ''], ['$UNSET!', '!'], ['${UNSET}', ''], ['cost: 5$', 'cost: 5$'], ['$ 5', '$ 5'], ['$1x', 'x'], ['${', ''], ['$$X', 'X']])('environment in %j', (text, expanded) => expect(expandEnvironment(text, { X: '1' })).toBe(expanded));

test('features: defaults unless mentioned, unknown names are kept, the last word counts', () => {
  const on = (name: string, enabled = true) => ({ name, enabled });
  expect(enabledFeatures([])).toEqual(['HotReload', 'WorkflowsRemoteActivityReminder']);
  expect(enabledFeatures([on('HotReload', false), on('Nonsense'), on('a'), on('a', false)])).toEqual(['WorkflowsRemoteActivityReminder', 'Nonsense']);
});
