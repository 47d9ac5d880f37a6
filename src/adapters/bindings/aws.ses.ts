// bindings.aws.ses: e-mails through AWS SES.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { AdapterError } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { field, property, schema } from '../../core/metadata.ts';
import { awsCalls, prefixed } from '../aws/failure.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';
import { unquote } from './unquote.ts';

const addresses = (list: string): string[] | undefined => (list === '' ? undefined : list.split(';'));

export default defineBinding({
  type: 'bindings.aws.ses',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Sends e-mails through AWS SES; data is a JSON string with HTML.',
  metadata: schema(
    {
      ...awsFields,
      emailFrom: field.text().default('').describe('Sender; like all fields below it may also stand in the metadata of a request'),
      emailTo: field.text().default('').describe('Receivers, separated by ;'),
      emailCc: field.text().default('').describe('Receivers of copies, separated by ;'),
      emailBcc: field.text().default('').describe('Receivers of blind copies, separated by ;'),
      subject: field.text().default('').describe('Subject'),
    },
    awsAliases,
  ),
  open: async (metadata, { host }) => {
    const settings = awsClientSettings(metadata, host);
    const { SendEmailCommand, SESClient } = await import('@aws-sdk/client-ses');
    const client = new SESClient(settings);
    const call = awsCalls('SES');
    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }, { signal }) => {
        const value = (name: 'emailFrom' | 'emailTo' | 'emailCc' | 'emailBcc' | 'subject') => property(wanted, name) ?? metadata[name];
        for (const name of ['emailFrom', 'emailTo', 'subject'] as const) if (value(name) === '') throw new AdapterError('invalid', `SES binding error: ${name} property not supplied in configuration- or request-metadata`);
        const body = unquote(textOfBytes(data));
        if (body === undefined) throw new AdapterError('invalid', "SES binding error. Can't unquote data field: invalid syntax");
        const utf8 = (Data: string) => ({ Charset: 'UTF-8', Data });
        const email = new SendEmailCommand({
          Source: value('emailFrom'),
          Destination: { ToAddresses: addresses(value('emailTo')), CcAddresses: addresses(value('emailCc')), BccAddresses: addresses(value('emailBcc')) },
          Message: { Subject: utf8(value('subject')), Body: { Html: utf8(body) } },
        });
        await call('SendEmail', client.send(email, signal ? { abortSignal: signal } : {})).catch((error) => {
          throw prefixed('SES binding error. Sending email failed', error);
        });
        return null;
      },
      close: async () => client.destroy(),
    };
  },
});
