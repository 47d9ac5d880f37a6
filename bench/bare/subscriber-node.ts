// An app that takes messages and does nothing with them, on node:http: what a delivery's receiver can take at best.
import { createServer } from 'node:http';

createServer((request, response) => {
  request.resume();
  request.on('end', () => response.writeHead(200).end());
}).listen(Number(process.argv[2]), '127.0.0.1');
