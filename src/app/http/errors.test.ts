import { describe, expect, it } from 'vitest';
import { fail, helpDetail, infoDetail, resourceDetail, rows } from '../../core/errors.ts';
import { refuse } from '../../blocks/state/keys.ts';
import { errorBody } from './errors.ts';

describe('errorBody', () => {
  it('renders the legacy shape without details', () => expect(errorBody(fail('secretStoreNotFound', { store: '<s>' }))).toEqual({ status: 401, text: '{"errorCode":"ERR_SECRET_STORE_NOT_FOUND","message":"failed finding secret store with key \\u003cs\\u003e"}' }));
  it('renders details in order, metadata null where unset', () => {
    const error = fail('stateTransactionsNotSupported', { store: 's' }, { details: [helpDetail('u', 'd'), resourceDetail('state', 's'), infoDetail('R', null)] });
    expect(JSON.parse(errorBody(error).text).details.map((d: { '@type': string }) => d['@type'].split('.').pop())).toEqual(['Help', 'ResourceInfo', 'ErrorInfo']);
    expect(errorBody(error).text).toContain('"metadata":null');
    expect(errorBody(error).text).toContain('{"@type":"type.googleapis.com/google.rpc.ResourceInfo","description":"","owner":"","resource_name":"s","resource_type":"state"}');
  });
  it('leaves the field out of an illegal key inside a transaction', () => {
    const text = (field?: string) => { try { refuse('a||b', 's', field); return ''; } catch (e) { return errorBody(e).text; } };
    expect(text()).toContain('"field":"a||b"');
    expect(text('')).not.toContain('"field":');
  });
  it('shows a foreign error as ERROR with its text', () => expect(errorBody(new Error('boom'))).toEqual({ status: 500, text: '{"errorCode":"ERROR","message":"boom"}' }));
});

it('every row has a code or a reason, a real status and named holes only', () => {
  for (const [name, row] of Object.entries(rows)) {
    expect(row.code || ('reason' in row && row.reason), name).toBeTruthy();
    expect(row.http, name).toBeGreaterThanOrEqual(400);
    expect(row.message.replace(/\{\w+\}/g, ''), name).not.toMatch(/[{}]/);
  }
});

// rows of Dapr's that no HTTP request reaches: what would is decoded, named or ready before
it.each([
  ['badRequest', { error: 'x' }, 400, 'ERR_BAD_REQUEST', 'invalid request: x'],
  ['malformedRequestData', { error: 'x' }, 500, 'ERR_MALFORMED_REQUEST_DATA', "can't serialize request data field: x"],
  ['malformedResponse', { error: 'x' }, 500, 'ERR_MALFORMED_RESPONSE', 'x'],
  ['invokeNotReady', {}, 500, 'ERR_DIRECT_INVOKE', 'invoke API is not ready'],
  ['pubsubNameEmpty', {}, 404, 'ERR_PUBSUB_EMPTY', 'pubsub name is empty'],
  ['pubsubTopicEmpty', { pubsub: 'p' }, 404, 'ERR_TOPIC_NAME_EMPTY', 'topic is empty in pubsub p'],
  ['pubsubNotConfigured', { pubsub: 'p' }, 400, 'ERR_PUBSUB_NOT_CONFIGURED', 'pubsub p is not configured'],
  ['configurationUnsubscribe', { id: 'i', error: 'x' }, 500, 'ERR_CONFIGURATION_UNSUBSCRIBE', 'failed to unsubscribe to configuration request i: x'],
  ['stateKeysNotSupported', { store: 's' }, 500, 'ERR_STATE_STORE_NOT_SUPPORTED', 'state store s does not support listing keys'],
  ['stateKeys', { store: 's', error: 'x' }, 500, 'ERR_STATE_KEYS', 'failed listing keys of state store s: x'],
] as const)('%s', (is, holes, status, errorCode, message) => {
  expect(errorBody(fail(is, holes))).toEqual({ status, text: JSON.stringify({ errorCode, message }) });
});
