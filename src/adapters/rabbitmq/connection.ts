// A connection to RabbitMQ that is made when somebody needs a channel and made anew after it broke (upstream: common/component/rabbitmq).
import type { Channel, ChannelModel, ConfirmChannel, Options } from 'amqplib';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';

export interface AmqpAddress {
  protocol: 'amqp' | 'amqps';
  hostname: string;
  port: number;
  vhost: string;
  /** Absent: guest. */
  username?: string;
  password?: string;
  /** Seconds, where the address says it. */
  heartbeat?: number;
}

/** Reads `amqp://user:password@host:port/vhost`. Throws in the words of Go's driver, without the text itself: there may be a password in it. */
export function parseAmqpAddress(text: string): AmqpAddress {
  if (/\s/.test(text)) throw new Error('URI must not contain whitespace');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme !== 'amqp' && scheme !== 'amqps') throw new Error("AMQP scheme must be either 'amqp://' or 'amqps://'");
  let url: URL;
  try {
    // The URL class takes hosts and ports apart only for the schemes of the Web.
    url = new URL(text.replace(/^[^:]*/, 'http'));
  } catch {
    throw new Error('parse: the URI is malformed');
  }
  const heartbeat = url.searchParams.get('heartbeat');
  return {
    protocol: scheme,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: portOf(text, url) ?? (scheme === 'amqp' ? 5672 : 5671),
    vhost: decodeURIComponent(url.pathname.slice(1)) || '/',
    ...(url.username === '' && url.password === '' ? {} : { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }),
    ...(heartbeat !== null && /^\d+$/.test(heartbeat) ? { heartbeat: Number(heartbeat) } : {}),
  };
}
// Port 80, which the URL class leaves out as the usual one.
const portOf = (text: string, url: URL): number | undefined => (url.port === '' ? (/^[^/]*\/\/[^/?#]*:80(?=$|[/?#])/.test(text) ? 80 : undefined) : Number(url.port));

export interface AmqpSettings {
  address: AmqpAddress;
  /** PEM text, '' where there is none. */
  tls: { ca: string; cert: string; key: string };
  /** Sign in with the client certificate. */
  external: boolean;
  /** Milliseconds; 0: as the server says. */
  heartbeat: number;
  /** Shown in RabbitMQ's list of connections; '' for none. */
  name: string;
}

export interface AmqpLink {
  /** A new channel; connects first where that is needed. `onEnd` is called once, when the channel is gone for whatever reason but close(). */
  channel(kind: 'plain', onEnd: (why: unknown) => void): Promise<Channel>;
  channel(kind: 'confirm', onEnd: (why: unknown) => void): Promise<ConfirmChannel>;
  close(): Promise<void>;
}

/** Connects once, so that wrong settings show at once; later connections are made when a channel is asked for. */
export async function openAmqp(host: Host, settings: AmqpSettings, log: Logger): Promise<AmqpLink> {
  if (host.tcp === undefined) throw new Error(`RabbitMQ needs TCP sockets, which this runtime (${host.runtime}) does not have`);
  const { default: amqp } = (await import('amqplib')) as unknown as { default: typeof import('amqplib') }; // CommonJS: once bundled, `default` is all it exports
  const { address, tls, external, heartbeat, name } = settings;
  let connection: Promise<ChannelModel> | undefined;
  let closed = false;

  const dial = async (): Promise<ChannelModel> => {
    const seconds = address.heartbeat ?? Math.ceil(heartbeat / 1000);
    const to: Options.Connect = {
      protocol: address.protocol, hostname: address.hostname, port: address.port, vhost: address.vhost, frameMax: 131_072,
      ...(seconds > 0 ? { heartbeat: seconds } : {}), ...(address.username === undefined ? {} : { username: address.username, password: address.password ?? '' }),
    };
    const made = await amqp.connect(to, {
      noDelay: true, timeout: 30_000,
      ...(name === '' ? {} : { clientProperties: { connection_name: name } }),
      ...(address.protocol === 'amqps' ? { ...(tls.ca === '' ? {} : { ca: [tls.ca] }), ...(tls.cert === '' || tls.key === '' ? {} : { cert: tls.cert, key: tls.key }), ...(external ? { credentials: amqp.credentials.external() } : {}) } : {}),
    });
    made.on('error', (error) => log.warn(`RabbitMQ connection: ${amqpText(error)}`));
    made.on('close', () => {
      connection = undefined;
    });
    return made;
  };
  const connected = (): Promise<ChannelModel> => {
    if (closed) return Promise.reject(new AdapterError('unavailable', 'component is closed'));
    if (connection === undefined) {
      const mine = (connection = dial());
      mine.catch(() => {
        if (connection === mine) connection = undefined;
      });
    }
    return connection;
  };

  await connected();
  const channel = async (kind: 'plain' | 'confirm', onEnd: (why: unknown) => void): Promise<Channel> => {
    const on = await connected();
    const made = kind === 'confirm' ? await on.createConfirmChannel() : await on.createChannel();
    let why: unknown;
    made.on('error', (error) => {
      why = error;
    });
    made.on('close', () => onEnd(why ?? new Error('channel/connection is not open')));
    return made;
  };
  return {
    channel: channel as AmqpLink['channel'],
    close: async () => {
      closed = true;
      const last = await connection?.catch(() => undefined);
      await last?.close().catch(() => undefined); // it broke meanwhile
    },
  };
}

/** What a broker's refusal is called in daprd: `Exception (406) Reason: "PRECONDITION_FAILED - …"`. */
export function amqpText(error: unknown): string {
  const text = textOf(error);
  const said = /^(?:Operation failed: [^;]*; |Channel closed by server: |Connection closed: )(\d+) \([A-Z-]+\) with message "(.*)"$/s.exec(text);
  if (said !== null) return `Exception (${said[1]}) Reason: "${said[2]}"`;
  // Both: somebody used a channel that had just gone.
  return /^(IllegalOperationError|Channel (closed|ended|closing)|channel closed|Connection clos)/i.test(text) ? 'channel/connection is not open' : text;
}

/** Text with a PEM block in it. */
export const isPem = (text: string): boolean => /-----BEGIN [A-Z0-9 ]+-----[\s\S]+-----END [A-Z0-9 ]+-----/.test(text);
