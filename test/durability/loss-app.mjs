// The app at the end of the loss test: writes down what it gets before it answers, so that a kill forgets nothing.
import { writeSync } from 'node:fs';
import { createServer } from 'node:http';

const [, , port, subscription] = process.argv;
const server = createServer({ keepAliveTimeout: 60_000 }, async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  if (request.url === '/dapr/subscribe') return response.writeHead(200, { 'content-type': 'application/json' }).end(subscription);
  if (request.url !== '/events') return response.writeHead(404).end();
  const { producer, number } = JSON.parse(text).data;
  writeSync(1, `${producer} ${number}\n`);
  response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
});
server.listen(Number(port), '127.0.0.1');
