// When the connection of a Service Bus client breaks: its library does not tell whoever is sending, who waits for timeoutInSec.
import type { ServiceBusClient } from '@azure/service-bus';

interface Connection {
  once(event: 'disconnected', listener: () => void): void;
}
const signals = new WeakMap<Connection, AbortSignal>();
const never = new AbortController().signal;

/** Aborts when the connection of this moment breaks. The library keeps it to itself: where another version keeps it elsewhere, the signal never comes. */
export function lostConnectionOf(client: ServiceBusClient): AbortSignal {
  const { connection } = (client as unknown as { _connectionContext?: { connection?: Connection } })._connectionContext ?? {};
  if (typeof connection?.once !== 'function') return never;
  const known = signals.get(connection);
  if (known !== undefined) return known;
  const lost = new AbortController();
  connection.once('disconnected', () => lost.abort(new Error('the connection to Azure Service Bus was lost')));
  signals.set(connection, lost.signal);
  return lost.signal;
}
