// A contract server as a process of its own, which can be killed and comes back with its messages: `contract-server.ts NAME PORT JOURNAL [PARTITIONS]`.
import { startEventHubs } from './event-hubs.ts';
import { startGooglePubSub } from './google-pubsub.ts';
import { startServiceBus } from './service-bus.ts';

const [, , name, port, journal = '', partitions = '1'] = process.argv;
const place = { port: Number(port), journal };
if (name === 'google-pubsub') await startGooglePubSub(place);
// The shortest lock the service allows.
else if (name === 'service-bus') await startServiceBus({ ...place, subscriptions: ['receiver'], lockMs: 5000 });
else if (name === 'event-hubs') await startEventHubs({ ...place, partitions: Number(partitions) });
else throw new Error(`no contract server ${name}`);
