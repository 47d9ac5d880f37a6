// bindings.twilio.*: what they send, checked at a server of the test's own that takes the place of Twilio's; the services themselves are not reached.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import sendgrid from '../../src/adapters/bindings/twilio.sendgrid.ts';
import sms from '../../src/adapters/bindings/twilio.sms.ts';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { startApp } from '../harness/app.ts';
import { openComponent, testHost, testLog } from './open.ts';

const account = { accountSid: 'AC1', authToken: 'token', fromNumber: '+1555' };
let app: Awaited<ReturnType<typeof startApp>>;
let answer: () => Response | Promise<Response>;
const origins: string[] = [];
beforeAll(async () => {
  app = await startApp(() => answer());
});
afterAll(() => app.stop());

async function open(definition: typeof sms | typeof sendgrid, metadata: Record<string, string>) {
  const real = testHost();
  const host = { ...real, http: { send: (request: Parameters<typeof real.http.send>[0]) => { origins.push(request.origin); return real.http.send({ ...request, origin: `http://127.0.0.1:${app.port}` }); } } };
  const context = { host, log: testLog, name: 'b', appId: 'a', namespace: '', properties: metadata, signal: AbortSignal.timeout(5000) };
  const port: Binding = definition === sms ? await sms.open(sms.metadata.parse(metadata), context) : await sendgrid.open(sendgrid.metadata.parse(metadata), context);
  return (data: string, wanted: Record<string, string> = {}) => (port.invoke as NonNullable<Binding['invoke']>)({ operation: 'create', data: new TextEncoder().encode(data), metadata: wanted }, background);
}

describe('bindings.twilio.sms', () => {
  test('is in the manifest', async () => {
    expect((await openComponent<Binding>('bindings.twilio.sms', account)).port.operations).toEqual(['create']);
    await expect(openComponent('bindings.twilio.sms', {})).rejects.toThrow('"fromNumber" is a required field');
  });
  test('sends a form with the account as user', async () => {
    answer = () => Response.json({ sid: 'SM1' }, { status: 201 });
    const send = await open(sms, account);
    expect(await send('"Grüße & \\"mehr\\""', { toNumber: '+1666' })).toBeNull();
    const [request] = app.requests.slice(-1);
    expect([origins.at(-1), request?.method, request?.target, request?.text()]).toEqual(['https://api.twilio.com', 'POST', '/2010-04-01/Accounts/AC1/Messages.json', 'Body=Gr%C3%BC%C3%9Fe+%26+%22mehr%22&From=%2B1555&To=%2B1666']);
    expect([request?.header('authorization'), request?.header('content-type'), request?.header('accept')]).toEqual([`Basic ${btoa('AC1:token')}`, 'application/x-www-form-urlencoded', 'application/json']);
  });
  test('the receiver of the component goes before that of the request', async () => {
    answer = () => new Response(null, { status: 204 });
    await (await open(sms, { ...account, toNumber: '+1777' }))('{"a":1}', { toNumber: '+1666' });
    const sent = () => Object.fromEntries(new URLSearchParams(app.requests.at(-1)?.text()));
    expect(sent()).toEqual({ To: '+1777', From: '+1555', Body: '{"a":1}' });
    for (const [data, Body] of [['null', ''], ['1e3', '1000'], ['true', 'true'], ['no JSON', 'no JSON']] as const) {
      await (await open(sms, { ...account, toNumber: '+1777' }))(data);
      expect(sent().Body).toBe(Body);
    }
  });
  test('no receiver, a refusal, no answer in time', async () => {
    answer = () => Response.json({ code: 20003 }, { status: 401 });
    await expect((await open(sms, account))('x')).rejects.toThrow('twilio missing "toNumber" field');
    await expect((await open(sms, account))('x', { toNumber: '+1' })).rejects.toMatchObject({ message: 'error from Twilio (401): 401 Unauthorized' });
    answer = () => new Promise((resolve) => setTimeout(() => resolve(new Response('late')), 1500));
    await expect((await open(sms, { ...account, timeout: '100ms' }))('x', { toNumber: '+1' })).rejects.toMatchObject({ message: 'Post "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json": context deadline exceeded' });
  });
  test.each([[{ ...account, fromNumber: '' }, '"fromNumber" is a required field'], [{ ...account, accountSid: '' }, '"accountSid" is a required field'], [{ ...account, authToken: '' }, '"authToken" is a required field']])('%j is refused', async (metadata, message) => {
    await expect(open(sms, metadata)).rejects.toMatchObject({ message });
  });
});

describe('bindings.twilio.sendgrid', () => {
  const usual = { apiKey: 'SG.key', emailFrom: 'me@example.com', emailFromName: 'Me', emailTo: 'you@example.com', emailToName: 'You', subject: 'usual' };
  test('is in the manifest', async () => {
    expect((await openComponent<Binding>('bindings.twilio.sendgrid', usual)).port.operations).toEqual(['create']);
  });
  test('sends what the component says', async () => {
    answer = () => new Response(null, { status: 202 });
    expect(await (await open(sendgrid, { ...usual, emailCc: 'c@example.com', emailBcc: 'b@example.com', dynamicTemplateId: 'd-1', dynamicTemplateData: '{"b":1,"a":"<"}' }))('"<b>hi</b>"')).toBeNull();
    const [request] = app.requests.slice(-1);
    expect([origins.at(-1), request?.method, request?.target, request?.header('authorization'), request?.header('content-type')]).toEqual(['https://api.sendgrid.com', 'POST', '/v3/mail/send', 'Bearer SG.key', 'application/json']);
    expect(JSON.parse(request?.text() ?? '')).toEqual({
      from: { name: 'Me', email: 'me@example.com' },
      personalizations: [{ to: [{ name: 'You', email: 'you@example.com' }], cc: [{ email: 'c@example.com' }], bcc: [{ email: 'b@example.com' }], subject: 'usual', dynamic_template_data: { a: '<', b: 1 } }],
      content: [{ type: 'text/html', value: '<b>hi</b>' }],
      template_id: 'd-1',
    });
  });
  test('what the request says goes before it, address and name together', async () => {
    answer = () => new Response(null, { status: 202 });
    await (await open(sendgrid, { ...usual, dynamicTemplateData: '{"a":1}' }))('plain', { emailFrom: 'x@example.com', emailTo: 'y@example.com', emailToName: 'Y', subject: 'special', dynamicTemplateData: '{"n":2}' });
    expect(JSON.parse(app.requests.at(-1)?.text() ?? '')).toEqual({
      from: { email: 'x@example.com' },
      personalizations: [{ to: [{ name: 'Y', email: 'y@example.com' }], subject: 'special', dynamic_template_data: { n: 2 } }],
      content: [{ type: 'text/html', value: 'plain' }],
    });
  });
  test('a refusal is passed on', async () => {
    answer = () => Response.json({ errors: [{ message: 'The from address does not match', field: 'from', help: null }, { message: 'second' }] }, { status: 403 });
    await expect((await open(sendgrid, usual))('x')).rejects.toMatchObject({ message: 'error from SendGrid: sending email failed: 403 {Errors:[{Field:from Message:The from address does not match Help:<nil>} {Field:<nil> Message:second Help:<nil>}]}' });
    answer = () => new Response('<html>', { status: 500 });
    await expect((await open(sendgrid, usual))('x')).rejects.toMatchObject({ message: 'error from SendGrid: sending email failed: 500 {Errors:[]}' });
  });
  test.each([
    [{ emailFrom: '' }, 'error SendGrid from email not supplied'], [{ emailTo: '' }, 'error SendGrid to email not supplied'], [{ subject: '' }, 'error SendGrid subject not supplied'],
    [{ apiKey: '' }, 'apiKey field is required in metadata'], [{ dynamicTemplateData: '{' }, 'error from SendGrid binding, dynamic template data is not valid JSON: unexpected end of JSON input'],
    [{ dynamicTemplateData: '[1]' }, 'error from SendGrid binding, dynamic template data is not valid JSON: json: cannot unmarshal array into Go value of type map[string]interface {}'],
  ] as [Record<string, string>, string][])('%j: no mail', async (metadata, message) => {
    await expect(open(sendgrid, { ...usual, ...metadata }).then((send) => send('x'))).rejects.toMatchObject({ message });
  });
});
