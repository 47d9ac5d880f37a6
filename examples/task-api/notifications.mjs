// The second app: it is called by the first (POST /notify) and gets its events as CloudEvents (POST /task-created).
import { createServer } from 'node:http';

const events = [];
const server = createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  const answer = (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const route = `${request.method} ${request.url.split('?')[0]}`;
  if (route === 'GET /dapr/subscribe') return answer([{ pubsubname: 'pubsub', topic: 'task-created', route: '/task-created' }]);
  if (route === 'POST /task-created') {
    const event = JSON.parse(text);
    events.push(event);
    console.log(`event ${event.type} from ${event.source}: ${event.data.title}`);
    return answer({ status: 'SUCCESS' });
  }
  if (route === 'POST /notify') return answer({ sent: true, ...JSON.parse(text) });
  if (route === 'GET /events') return answer(events);
  response.writeHead(404).end();
});
server.listen(Number(process.env.APP_PORT ?? 6002), '127.0.0.1', () => console.log(`notifications listens on ${server.address().port}`));
