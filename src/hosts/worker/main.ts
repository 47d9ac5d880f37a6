// What is deployed: the Worker with the resources that were put beside it (deploy/worker, see wrangler.toml).
import { createWorker } from './worker.ts';

export { createWorker };
export default createWorker({
  resources: async () => {
    // a module of its own kind (text), there only when the deployment has resources
    const { default: text } = (await import('./resources.yaml').catch(() => ({ default: '' }))) as { default: string };
    return text === '' ? [] : [{ file: 'resources.yaml', text }];
  },
});
