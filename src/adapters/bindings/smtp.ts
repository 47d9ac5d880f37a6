// bindings.smtp: mail through an SMTP server.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { field, property, schema } from '../../core/metadata.ts';
import { unquote } from './unquote.ts';

const failure = (why: string, cause?: unknown) => new AdapterError('invalid', why, cause);
/** Go's gomail waits that long for a connection. */
const connectMs = 10_000;

export default defineBinding({
  type: 'bindings.smtp',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno'],
  features: ['OUTPUT_BINDING'],
  summary: 'Sends mail (HTML) through an SMTP server.',
  metadata: schema({
    host: field.text().default('').describe('Name or address of the SMTP server. Required'),
    port: field.integer().default(0).describe('Port of the SMTP server; 465 means TLS from the start, otherwise TLS begins where the server offers it. Required'),
    user: field.text().default('').describe('User to log in as; only together with password'),
    password: field.text().default('').describe('Password of the user; only together with user'),
    skipTLSVerify: field.flag().default(false).describe('The certificate of the server is not checked'),
    emailFrom: field.text().default('').describe('Sender; also in the metadata of a request, which goes before what stands here, as with all that follow'),
    emailTo: field.text().default('').describe('Receivers, separated by `;`'),
    emailCC: field.text().default('').describe('Receivers of a copy, separated by `;`'),
    emailBCC: field.text().default('').describe('Receivers of a copy that the others do not see, separated by `;`'),
    subject: field.text().default('').describe('Subject'),
    priority: field.text().default('').describe('From 1 (highest) to 5 (lowest); default 3'),
  }),
  open: async (metadata, { log, properties }) => {
    const { host, port, user, password } = metadata;
    if (host === '' || port === 0) throw new Error('smtp binding error: host and port fields are required in metadata');
    if ((user === '') !== (password === '')) throw new Error('smtp binding error: both user and password fields are required in metadata');
    if (user === '') log.warn('smtp binding warn: User and password are empty');
    if (metadata.skipTLSVerify) log.warn('smtp binding warning: Skip TLS Verification is enabled. This is insecure and is NOT recommended for production scenarios.');
    const usualPriority = priorityOf(property(properties, 'priority') ?? '');

    const { default: nodemailer } = await import('nodemailer');
    const transport = nodemailer.createTransport({
      host,
      port,
      secure: port === 465,
      // A password leaves the machine encrypted or not at all, as with Go's client.
      requireTLS: user !== '' && !/^(localhost|127\.0\.0\.1|::1)$/.test(host),
      connectionTimeout: connectMs,
      ...(user === '' ? {} : { auth: { user, pass: password } }),
      tls: { rejectUnauthorized: !metadata.skipTLSVerify },
      // neither files nor addresses are read for a mail
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }) => {
        const option = (name: 'emailFrom' | 'emailTo' | 'emailCC' | 'emailBCC' | 'subject'): string => wanted[name] || metadata[name];
        const priority = wanted.priority ? priorityOf(wanted.priority) : usualPriority;
        for (const name of ['emailFrom', 'emailTo', 'subject'] as const) if (option(name) === '') throw failure(`smtp binding error: ${name} property not supplied in configuration- or request-metadata`);
        const text = textOfBytes(data);
        try {
          await transport.sendMail({
            from: option('emailFrom'),
            to: receivers(option('emailTo')),
            cc: receivers(option('emailCC')),
            bcc: receivers(option('emailBCC')),
            subject: option('subject'),
            html: unquote(text) ?? text,
            headers: { 'X-priority': String(priority) },
          });
        } catch (error) {
          throw new AdapterError('unavailable', `error from smtp binding, sending email failed: ${textOf(error)}`, error);
        }
        return null;
      },
      close: async () => transport.close(),
    };
  },
});

const receivers = (text: string): string[] => (text === '' ? [] : text.split(';'));

function priorityOf(text: string): number {
  if (text === '') return 3;
  if (!/^[+-]?\d+$/.test(text)) throw failure(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const priority = Number(text);
  if (priority < 1 || priority > 5) throw failure('smtp binding error:  priority value must be between 1 (highest) and 5 (lowest)');
  return priority;
}
