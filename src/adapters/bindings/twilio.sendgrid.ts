// bindings.twilio.sendgrid: mail through SendGrid.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { any, GoJsonError, list, parseFirst, parseWhole, struct, textOfBytes, utf8 } from '../../core/go-json.ts';
import { type Exact, printExact, quote } from '../../core/json-exact.ts';
import { field, schema } from '../../core/metadata.ts';
import { unquote } from './unquote.ts';

const [origin, path] = ['https://api.sendgrid.com', '/v3/mail/send'];
const failureShape = struct('sendgrid.sendGridRestError', { errors: list(struct('sendgrid.errors', { field: any, message: any, help: any })) });
const failure = (why: string, cause?: unknown) => new AdapterError('invalid', why, cause);

export default defineBinding({
  type: 'bindings.twilio.sendgrid',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Sends mail (HTML) through SendGrid. The metadata of a request goes before that of the component.',
  metadata: schema({
    apiKey: field.text().default('').describe('API key of SendGrid. Required'),
    emailFrom: field.text().default('').describe('Address of the sender'),
    emailFromName: field.text().default('').describe('Name of the sender; belongs to the emailFrom it stands beside'),
    emailTo: field.text().default('').describe('Address of the receiver'),
    emailToName: field.text().default('').describe('Name of the receiver; belongs to the emailTo it stands beside'),
    subject: field.text().default('').describe('Subject'),
    emailCc: field.text().default('').describe('Address that gets a copy'),
    emailBcc: field.text().default('').describe('Address that gets a copy that the others do not see'),
    dynamicTemplateId: field.text().default('').describe('Template of SendGrid that makes the mail'),
    dynamicTemplateData: field.text().default('').describe('JSON object with what the template asks for'),
  }),
  open: async (metadata, { host, log }) => {
    if (metadata.apiKey === '') throw new Error('apiKey field is required in metadata');
    const usualData = templateData(metadata.dynamicTemplateData);
    const headers = ['Authorization', `Bearer ${metadata.apiKey}`, 'Accept', 'application/json', 'Content-Type', 'application/json'];

    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }, { signal }) => {
        const from = addressed('emailFrom', 'emailFromName', wanted, metadata);
        if (from === undefined) throw failure('error SendGrid from email not supplied');
        const to = addressed('emailTo', 'emailToName', wanted, metadata);
        if (to === undefined) throw failure('error SendGrid to email not supplied');
        const subject = wanted.subject || metadata.subject;
        if (subject === '') throw failure('error SendGrid subject not supplied');
        const template = wanted.dynamicTemplateId || metadata.dynamicTemplateId;
        const values = wanted.dynamicTemplateData ? templateData(wanted.dynamicTemplateData) : usualData;
        const text = textOfBytes(data);

        const one = (name: string, address: string) => (address === '' ? [] : [`${quote(name)}:[${person(address, '')}]`]);
        const personal = [`"to":[${to}]`, ...one('cc', wanted.emailCc || metadata.emailCc), ...one('bcc', wanted.emailBcc || metadata.emailBcc), `"subject":${quote(subject)}`, ...(values === undefined ? [] : [`"dynamic_template_data":${values}`])];
        const mail = [`"from":${from}`, `"personalizations":[{${personal.join(',')}}]`, `"content":[{"type":"text/html","value":${quote(unquote(text) ?? text)}}]`, ...(template === '' ? [] : [`"template_id":${quote(template)}`])];
        let status: number;
        let answer: string;
        try {
          const response = await host.http.send({ method: 'POST', origin, path, headers, body: utf8(`{${mail.join(',')}}`), ...(signal ? { signal } : {}) });
          status = response.status;
          answer = textOfBytes((await readBody(response.body)).bytes);
        } catch (error) {
          throw new AdapterError('unavailable', `error from SendGrid: sending email failed: Post ${JSON.stringify(origin + path)}: ${textOf(error)}`, error);
        }
        if (status < 200 || status > 299) throw new AdapterError('internal', `error from SendGrid: sending email failed: ${status} ${reasons(answer)}`);
        log.info('sent email with SendGrid');
        return null;
      },
      close: async () => undefined,
    };
  },
});

/** Address and name of one place together: a name of the component never goes with an address of the request. */
function addressed<A extends string, N extends string>(address: A, name: N, ...places: Partial<Readonly<Record<A | N, string>>>[]): string | undefined {
  const place = places.find((metadata) => metadata[address]);
  return place === undefined ? undefined : person(place[address] as string, place[name] ?? '');
}
const person = (email: string, name: string): string => `{${name === '' ? '' : `"name":${quote(name)},`}"email":${quote(email)}}`;

/** JSON text of an object; undefined where there is none. */
function templateData(text: string): string | undefined {
  if (text === '') return undefined;
  const wrong = (why: string, cause?: unknown) => failure(`error from SendGrid binding, dynamic template data is not valid JSON: ${why}`, cause);
  let value: unknown;
  try {
    value = parseWhole(text);
  } catch (error) {
    throw wrong(textOf(error), error);
  }
  if (value === null) return undefined;
  const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  if (kind !== 'object') throw wrong(`json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`);
  return printExact(value as Exact);
}

/** What SendGrid said, in the form Go prints a struct. */
function reasons(answer: string): string {
  const shown = (value: unknown) => (value === null || value === undefined ? '<nil>' : String(value));
  try {
    const { errors } = failureShape.read(parseFirst(answer), '');
    return `{Errors:[${errors.map(({ field: of, message, help }) => `{Field:${shown(of)} Message:${shown(message)} Help:${shown(help)}}`).join(' ')}]}`;
  } catch (error) {
    if (!(error instanceof GoJsonError)) throw error;
    return '{Errors:[]}';
  }
}
