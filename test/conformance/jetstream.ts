// Streams for tests of pubsub.jetstream, which wants them to be there.
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

export async function addStream(url: string, name: string, subjects: string[]): Promise<void> {
  const nc = await connect({ servers: url.replace('nats://', '') });
  await (await jetstreamManager(nc)).streams.add({ name, subjects });
  await nc.close();
}
