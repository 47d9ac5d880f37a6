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
