// bindings.smtp against a real SMTP server in this process (the npm package smtp-server): what arrives there.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';

const type = 'bindings.smtp';

interface Mail {
  from: string;
  to: string[];
  user: string | undefined;
  secure: boolean;
  text: string;
}
async function startSmtp(options: SMTPServerOptions) {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    ...options,
    onRcptTo: ({ address }, _session, done) => done(address.startsWith('nobody') ? Object.assign(new Error('no such user'), { responseCode: 550 }) : null),
    onData: (stream, session, done) => {
      let text = '';
      stream.on('data', (chunk: Buffer) => void (text += chunk.toString()));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({ from: mailFrom === false ? '' : mailFrom.address, to: rcptTo.map(({ address }) => address), user: session.user, secure: session.secure, text });
        done();
      });
    },
  });
  server.on('error', () => {}); // clients that end in the middle of it
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return { port: String((server.server.address() as AddressInfo).port), mails, stop: () => new Promise<void>((done) => server.close(() => done())) };
}

describe(type, () => {
  let plain: Awaited<ReturnType<typeof startSmtp>>;
  let tls: Awaited<ReturnType<typeof startSmtp>>;
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-smtp-'));
  beforeAll(async () => {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', join(folder, 'key'), '-out', join(folder, 'cert'), '-days', '1', '-subj', '/CN=mail'], { stdio: 'ignore' });
    plain = await startSmtp({ disabledCommands: ['STARTTLS', 'AUTH'] });
    tls = await startSmtp({
      key: readFileSync(join(folder, 'key')),
      cert: readFileSync(join(folder, 'cert')),
      onAuth: ({ username, password }, _session, done) => (password === 'secret' ? done(null, { user: username as string }) : done(new Error('wrong password'))),
    });
  });
  afterAll(async () => {
    await Promise.all([plain.stop(), tls.stop()]);
    rmSync(folder, { recursive: true });
  });
  const open = async (metadata: Record<string, string>) => {
    const { port } = await openComponent<Binding>(type, { host: '127.0.0.1', port: plain.port, ...metadata });
    return (data: string, wanted: Record<string, string> = {}) => (port.invoke as NonNullable<Binding['invoke']>)({ operation: 'create', data: new TextEncoder().encode(data), metadata: wanted }, background);
  };
  const usual = { emailFrom: 'me@example.com', emailTo: 'a@example.com;B <b@example.com>', subject: 'usual' };
  const body = ({ text }: Mail) => text.slice(text.indexOf('\r\n\r\n') + 4).trimEnd();

  describeBinding({ type, start: async () => ({ metadata: { host: '127.0.0.1', port: plain.port, ...usual }, stop: async () => undefined }), operations: ['create'] });

  test('what the component says', async () => {
    const send = await open({ ...usual, emailCC: 'c@example.com', emailBCC: 'd@example.com' });
    expect(await send('"<h1>hello</h1>\\n"')).toBeNull();
    const mail = plain.mails.at(-1) as Mail;
    expect(mail).toMatchObject({ from: 'me@example.com', to: ['a@example.com', 'b@example.com', 'c@example.com', 'd@example.com'] });
    for (const line of ['From: me@example.com', 'To: a@example.com, B <b@example.com>', 'Cc: c@example.com', 'Subject: usual', 'MIME-Version: 1.0']) expect(mail.text).toContain(`${line}\r\n`);
    expect(mail.text).toMatch(/^X-Priority: 3\r$/im);
    expect(mail.text).toMatch(/^Content-Type: text\/html; charset=utf-8\r$/im);
    expect(mail.text).not.toContain('d@example.com');
    expect(body(mail)).toBe('<h1>hello</h1>');
  });
  test('what the request says goes before it, for this mail only', async () => {
    const send = await open(usual);
    await send('<b>as it is</b>', { emailFrom: 'you@example.com', emailTo: 'x@example.com', emailCC: 'y@example.com', emailBCC: 'z@example.com', subject: 'Grüße', priority: '1' });
    const mail = plain.mails.at(-1) as Mail;
    expect(mail).toMatchObject({ from: 'you@example.com', to: ['x@example.com', 'y@example.com', 'z@example.com'] });
    expect(mail.text).toMatch(/^X-Priority: 1\r$/im);
    expect(mail.text).toMatch(/^Subject: =\?UTF-8\?Q\?Gr=C3=BC=C3=9Fe\?=\r$/im);
    expect(body(mail)).toBe('<b>as it is</b>');
    await send('second');
    expect(plain.mails.at(-1)).toMatchObject({ from: 'me@example.com', to: ['a@example.com', 'b@example.com'], text: expect.stringMatching(/^X-Priority: 3\r$/im) });
  });
  test('a subject cannot add headers', async () => {
    await (await open(usual))('x', { subject: 'one\r\nBcc: other@example.com' });
    expect((plain.mails.at(-1) as Mail).to).toEqual(['a@example.com', 'b@example.com']);
    expect((plain.mails.at(-1) as Mail).text).not.toMatch(/^Bcc:/im);
  });
  test('TLS and a user; a certificate nobody vouches for needs to be asked for', async () => {
    const account = { port: tls.port, user: 'me', password: 'secret', ...usual };
    await (await open({ ...account, skipTLSVerify: 'true' }))('x');
    expect(tls.mails.at(-1)).toMatchObject({ user: 'me', secure: true });
    await expect((await open(account))('x')).rejects.toThrow(/^error from smtp binding, sending email failed: .*self[- ]signed/);
    await expect((await open({ ...account, password: 'wrong', skipTLSVerify: 'true' }))('x')).rejects.toThrow(/^error from smtp binding, sending email failed: .*535/);
  });
  test.each([
    [{}, {}, 'smtp binding error: emailFrom property not supplied in configuration- or request-metadata'],
    [{ emailFrom: 'a@b.c' }, {}, 'smtp binding error: emailTo property not supplied in configuration- or request-metadata'],
    [{}, { emailFrom: 'a@b.c', emailTo: 'd@e.f' }, 'smtp binding error: subject property not supplied in configuration- or request-metadata'],
    [usual, { priority: '6' }, 'smtp binding error:  priority value must be between 1 (highest) and 5 (lowest)'],
    [usual, { priority: 'high' }, 'strconv.Atoi: parsing "high": invalid syntax'],
    [usual, { emailTo: 'nobody@example.com' }, /^error from smtp binding, sending email failed: .*550 no such user/],
    [{ ...usual, port: '1' }, {}, /^error from smtp binding, sending email failed: .*ECONNREFUSED/],
  ] as [Record<string, string>, Record<string, string>, string | RegExp][])('%j, %j: no mail', async (metadata, wanted, message) => {
    await expect((await open(metadata))('x', wanted)).rejects.toMatchObject({ message: typeof message === 'string' ? message : expect.stringMatching(message) });
  });
  test.each([
    [{ host: '' }, 'smtp binding error: host and port fields are required in metadata'],
    [{ port: '0' }, 'smtp binding error: host and port fields are required in metadata'],
    [{ user: 'x' }, 'smtp binding error: both user and password fields are required in metadata'],
    [{ priority: '0' }, 'smtp binding error:  priority value must be between 1 (highest) and 5 (lowest)'],
  ] as [Record<string, string>, string][])('%j is refused', async (metadata, message) => {
    await expect(open(metadata)).rejects.toMatchObject({ message });
  });
});
