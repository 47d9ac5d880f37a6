// bindings.twilio.sms: text messages through Twilio.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { toBase64 } from '../../core/base64.ts';
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { field, schema } from '../../core/metadata.ts';
import { statusLine } from './status-text.ts';
import { plainText } from './unquote.ts';

const origin = 'https://api.twilio.com';

export default defineBinding({
  type: 'bindings.twilio.sms',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Sends text messages through Twilio.',
  metadata: schema({
    accountSid: field.text().default('').describe('Account SID of Twilio. Required'),
    authToken: field.text().default('').describe('Auth token of Twilio. Required'),
    fromNumber: field.text().default('').describe('Number of the sender. Required'),
    toNumber: field.text().default('').describe('Number of the receiver; goes before the one in the metadata of a request'),
    timeout: field.duration().default(300_000).describe('How long a call may take'),
  }),
  open: async ({ accountSid, authToken, fromNumber, toNumber, timeout }, { host }) => {
    for (const [name, value] of Object.entries({ fromNumber, accountSid, authToken })) if (value === '') throw new Error(`"${name}" is a required field`);
    const path = `/2010-04-01/Accounts/${encodeURIComponent(accountSid)}/Messages.json`;
    const headers = ['Authorization', `Basic ${toBase64(utf8(`${accountSid}:${authToken}`))}`, 'Accept', 'application/json', 'Content-Type', 'application/x-www-form-urlencoded'];
    return {
      operations: ['create'],
      invoke: async ({ data, metadata }, { signal }) => {
        const to = toNumber || metadata.toNumber;
        if (!to) throw new AdapterError('invalid', 'twilio missing "toNumber" field');
        const form = new URLSearchParams({ Body: plainText(textOfBytes(data)), From: fromNumber, To: to });
        const limits = [signal, timeout > 0 ? AbortSignal.timeout(timeout) : undefined].filter((limit) => limit !== undefined);
        let status: number;
        try {
          const response = await host.http.send({ method: 'POST', origin, path, headers, body: utf8(form.toString()), ...(limits.length > 0 ? { signal: AbortSignal.any(limits) } : {}) });
          status = response.status;
          await readBody(response.body);
        } catch (error) {
          throw new AdapterError('unavailable', `Post ${JSON.stringify(origin + path)}: ${limits.some(({ aborted }) => aborted) ? 'context deadline exceeded' : textOf(error)}`, error);
        }
        if (status < 200 || status > 299) throw new AdapterError('internal', `error from Twilio (${status}): ${statusLine(status)}`);
        return null;
      },
      close: async () => undefined,
    };
  },
});
