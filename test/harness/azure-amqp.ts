// What the contract servers of Azure Service Bus and Event Hubs share: AMQP 1.0 connections, and claims put onto them at $cbs.
import { createHmac } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import rhea, { type Connection, type EventContext, type Message, type Sender } from 'rhea';

const keyName = 'RootManageSharedAccessKey';
const key = 'c2VjcmV0LWZvci10ZXN0cw==';

export interface AmqpServerOptions {
  /** Default: a free one. */
  port?: number;
  /** PEM: TLS, as the real services have it. */
  tls?: { key: string; cert: string } | undefined;
  /** Whether a token of Microsoft Entra ID opens the door; without it none does. */
  jwt?: ((token: string) => boolean) | undefined;
}

/** For whoever has a contract server on that port. */
export const azureConnectionString = (port: number): string => `Endpoint=sb://127.0.0.1:${port}/;SharedAccessKeyName=${keyName};SharedAccessKey=${key};UseDevelopmentEmulator=true`;

/** `handle` gets every message but claims. Links are opened to whatever is asked for, unless a handler of the container closes them. */
export async function startAzureAmqp(handle: (context: EventContext & { message: Message }) => void, { port: wanted = 0, tls, jwt }: AmqpServerOptions = {}) {
  const container = rhea.create_container({ id: 'contract' });
  const connections = new Set<Connection>();
  /** What each claim was for, and its kind. */
  const tokens: string[] = [];
  const tokenTypes = new Set<string>();

  const reply = (connection: Connection, to: string, request: Message, status: number, body?: unknown) => {
    const code = rhea.types.wrap_int(status); // clients for Go take nothing else
    const answer = { to, correlation_id: request.message_id as string, application_properties: { 'status-code': code, 'status-description': status < 300 ? 'OK' : 'refused', statusCode: code }, body };
    connection.each_sender((sender: Sender) => {
      if (sender.target.address === to || sender.name === to) sender.send(answer as never);
    });
  };
  const isGoodToken = (type: string, token: string) => {
    if (type === 'jwt') return jwt?.(token) ?? false;
    const given = new URLSearchParams(token.replace('SharedAccessSignature ', ''));
    const [, resource] = /\bsr=([^&]*)/.exec(token) ?? []; // signed as it is escaped, and that differs between clients
    const expected = createHmac('sha256', key).update(`${resource}\n${given.get('se')}`).digest('base64');
    return given.get('skn') === keyName && given.get('sig') === expected;
  };
  container.on('message', (context: EventContext) => {
    const { connection, receiver, message, delivery } = context;
    if (message === undefined || delivery === undefined || connection === undefined) return;
    if (receiver?.target.address !== '$cbs') return handle({ ...context, message });
    delivery.accept();
    const { name, type } = message.application_properties as { name: string; type: string };
    tokens.push(name);
    tokenTypes.add(type);
    reply(connection, message.reply_to as string, message, isGoodToken(type, message.body as string) ? 202 : 401);
  });
  container.on('connection_open', ({ connection }) => void connections.add(connection));
  container.on('disconnected', ({ connection }) => void connections.delete(connection));
  container.on('receiver_open', ({ receiver }: EventContext) => {
    receiver?.set_target({ address: receiver.target?.address as string });
    receiver?.set_source({ address: receiver.source?.address as string });
  });
  container.on('sender_draining', ({ sender }: EventContext) => sender?.set_drained(true));
  for (const trouble of ['connection_error', 'session_error', 'receiver_error', 'sender_error', 'error']) container.on(trouble, () => undefined);
  container.sasl_server_mechanisms.enable_anonymous();
  container.sasl_server_mechanisms.enable_plain(() => true);
  const receiver_options = { autoaccept: false, credit_window: 1000, max_message_size: 1_048_576 };
  container.options = { receiver_options } as never;
  const server = container.listen({ port: wanted, host: '127.0.0.1', receiver_options, ...(tls === undefined ? {} : { transport: 'tls', ...tls }) } as never);
  await new Promise<void>((resolve) => server.on('listening', () => resolve()));
  const { port } = server.address() as AddressInfo;
  /** All connections break. */
  const cut = () => {
    for (const connection of connections) (connection as unknown as { socket: { destroy(): void } }).socket.destroy();
  };
  return {
    container, port, tokens, tokenTypes, reply, cut,
    connectionString: azureConnectionString(port),
    stop: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
