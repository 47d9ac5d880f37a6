// Series about the process itself, under the names Go's collectors give them: what dashboards ask for and can be said truthfully of another runtime.
import type { ProcessPort } from '../../../core/host.ts';
import { goFloat } from './go-float.ts';

export function runtimeText(process: ProcessPort | undefined, runtime: string): string {
  let out = '';
  const add = (name: string, type: 'counter' | 'gauge', help: string, value: number | undefined, labels = '') => {
    if (value !== undefined) out += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}${labels} ${goFloat(value)}\n`;
  };
  const facts = process?.facts();
  add('go_goroutines', 'gauge', 'Sockets, timers and file operations the runtime has open; there are no goroutines here.', facts?.activities);
  add('go_info', 'gauge', 'The runtime this sidecar runs on; it is not Go.', 1, `{version="${process?.version ?? runtime}"}`);
  add('go_memstats_alloc_bytes', 'gauge', 'Number of bytes of the JavaScript heap in use.', facts?.heapUsedBytes);
  add('go_memstats_heap_alloc_bytes', 'gauge', 'Number of bytes of the JavaScript heap in use, same as go_memstats_alloc_bytes.', facts?.heapUsedBytes);
  add('go_memstats_heap_sys_bytes', 'gauge', 'Number of bytes the JavaScript heap has obtained from system.', facts?.heapTotalBytes);
  add('go_memstats_sys_bytes', 'gauge', 'Number of bytes obtained from system: what is resident.', facts?.residentBytes);
  add('go_threads', 'gauge', 'Number of OS threads of this process.', facts?.threads);
  add('process_cpu_seconds_total', 'counter', 'Total user and system CPU time spent in seconds.', facts?.cpuSeconds);
  add('process_max_fds', 'gauge', 'Maximum number of open file descriptors.', facts?.maxFds);
  add('process_open_fds', 'gauge', 'Number of open file descriptors.', facts?.openFds);
  add('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', facts?.residentBytes);
  add('process_start_time_seconds', 'gauge', 'Start time of the process since unix epoch in seconds.', process?.startTimeSeconds);
  add('process_virtual_memory_bytes', 'gauge', 'Virtual memory size in bytes.', facts?.virtualBytes);
  add('process_virtual_memory_max_bytes', 'gauge', 'Maximum amount of virtual memory available in bytes.', facts?.virtualMaxBytes);
  return out;
}
