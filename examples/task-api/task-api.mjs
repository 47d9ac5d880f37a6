// A Task API that knows nothing but HTTP: tasks in a state store, events on a topic, a secret, a call to another app.
import { createServer } from 'node:http';

const dapr = `http://127.0.0.1:${process.env.DAPR_HTTP_PORT ?? 3500}`;
const json = async (request) => {
  let text = '';
  for await (const part of request) text += part;
  return JSON.parse(text || 'null');
};
const post = (path, body) => fetch(dapr + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
const must = async (response) => {
  if (!response.ok) throw new Error(`${response.status} ${response.url}: ${await response.text()}`);
  return response;
};

const server = createServer(async (request, response) => {
  const answer = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(body === undefined ? '' : JSON.stringify(body));
  try {
    const [, resource, id] = new URL(request.url, 'http://app').pathname.split('/');
    if (resource === 'tasks' && request.method === 'POST') {
      const { title } = await json(request);
      const task = { id: crypto.randomUUID(), title, done: false };
      await must(await post('/v1.0/state/statestore', [{ key: task.id, value: task }]));
      await must(await post('/v1.0/publish/pubsub/task-created', task));
      const secret = await (await must(await fetch(`${dapr}/v1.0/secrets/secretstore/mail-sender`))).json();
      const notified = await (await must(await post('/v1.0/invoke/notifications/method/notify', { task: task.id, from: secret['mail-sender'] }))).json();
      return answer(201, { ...task, notified });
    }
    if (resource === 'tasks' && request.method === 'GET') {
      const found = await must(await fetch(`${dapr}/v1.0/state/statestore/${id}`));
      return found.status === 204 ? answer(404, { error: 'no such task' }) : answer(200, await found.json());
    }
    answer(404, { error: 'no such path' });
  } catch (error) {
    answer(502, { error: error.message });
  }
});
server.listen(Number(process.env.APP_PORT ?? 6001), '127.0.0.1', () => console.log(`task-api listens on ${server.address().port}`));
