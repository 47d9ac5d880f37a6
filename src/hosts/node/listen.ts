// Opens one HTTP listener on node:http and closes it in good order.
import type { HandleCall } from '../../app/http/api.ts';
import type { ListenAt, Listener } from '../cli/platform.ts';
import { createListener } from './server.ts';

export function listen(handle: HandleCall, at: ListenAt, options: { maxHeaderBytes: number; http2?: boolean }): Promise<Listener> {
  const { server, closeHttp2, destroyHttp2 } = createListener(handle, options);
  return new Promise((done, fail) => {
    server.once('error', fail);
    // without a host Node listens on :: and takes IPv4 along, or on 0.0.0.0 where there is no IPv6
    server.listen('path' in at ? at : { port: at.port, ...(at.host === '' ? {} : { host: at.host }) }, () => {
      server.removeListener('error', fail);
      const address = server.address();
      done({
        port: typeof address === 'object' && address ? address.port : 0,
        close: () =>
          new Promise((closed) => {
            // connections that fall idle later, after their last answer, are closed by and by
            const sweep = setInterval(() => server.closeIdleConnections(), 50);
            server.close(() => {
              clearInterval(sweep);
              closed();
            });
            server.closeIdleConnections();
            closeHttp2();
          }),
        destroy: () => {
          server.close();
          server.closeAllConnections();
          destroyHttp2();
        },
      });
    });
  });
}
