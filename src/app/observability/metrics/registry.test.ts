import { describe, expect, it } from 'vitest';
import { createRegistry, mostMembers } from './registry.ts';

const spec = (name: string, ...labels: string[]) => ({ name, help: `What ${name} is.`, labels });

describe('exposition text', () => {
  it('is what Dapr shows: families by name, members by label values, labels by name, buckets cumulative', () => {
    const registry = createRegistry();
    const latency = registry.histogram(spec('z_latency', 'status', 'app_id'), [1, 2.5, 1 << 20]);
    const count = registry.counter(spec('a_count', 'app_id', 'path'));
    for (const value of [0, 0.5, 1, 2.5, 2 ** 21]) latency({ app_id: 'a', status: '200' }).observe(value);
    count({ app_id: 'a', path: '/y' }).value++;
    count({ app_id: 'a', path: '/x' }).value += 2;
    count({ app_id: 'a' }).value++;
    registry.gauge(spec('m_state'))({}).set(-1);
    expect(registry.text()).toBe(`# HELP dapr_a_count What a_count is.
# TYPE dapr_a_count counter
dapr_a_count{app_id="a",path=""} 1
dapr_a_count{app_id="a",path="/x"} 2
dapr_a_count{app_id="a",path="/y"} 1
# HELP dapr_m_state What m_state is.
# TYPE dapr_m_state gauge
dapr_m_state -1
# HELP dapr_z_latency What z_latency is.
# TYPE dapr_z_latency histogram
dapr_z_latency_bucket{app_id="a",status="200",le="1"} 2
dapr_z_latency_bucket{app_id="a",status="200",le="2.5"} 3
dapr_z_latency_bucket{app_id="a",status="200",le="1.048576e+06"} 4
dapr_z_latency_bucket{app_id="a",status="200",le="+Inf"} 5
dapr_z_latency_sum{app_id="a",status="200"} 2.097156e+06
dapr_z_latency_count{app_id="a",status="200"} 5
`);
  });
  it('shows nothing that was not used: neither a member nor its family', () => {
    const registry = createRegistry();
    const count = registry.counter(spec('count', 'app_id'));
    count({ app_id: 'a' });
    registry.histogram(spec('latency'), [1])({});
    registry.gauge(spec('state'))({});
    expect(registry.text()).toBe('');
    count({ app_id: 'b' }).value++;
    expect(registry.text()).toContain('{app_id="b"} 1');
    expect(registry.text()).not.toContain('app_id="a"');
    count({ app_id: 'a' }).value++;
    expect(registry.text().indexOf('app_id="a"')).toBeLessThan(registry.text().indexOf('app_id="b"'));
  });
  it('escapes label values and help, and cuts what is too long', () => {
    const registry = createRegistry();
    registry.counter({ name: 'c', help: 'a\\b\nc"d', labels: ['path'] })({ path: `q"\\\n\ud800ü${'x'.repeat(300)}` }).value++;
    const [help, , line] = registry.text().split('\n');
    expect(help).toBe('# HELP dapr_c a\\\\b\\nc"d');
    expect(line).toMatch(/^dapr_c\{path="q\\"\\\\\\n\ufffdüx{249}"\} 1$/);
  });
});

it('members beyond the limit are counted together, under labels that nobody outside chooses', () => {
  const full: string[] = [];
  const registry = createRegistry({ onFull: (name) => full.push(name) });
  const count = registry.counter(spec('requests', 'path', 'status'));
  for (let i = 0; i < mostMembers + 100; i++) count({ path: `/${i}`, status: i % 2 ? '200' : '404' }).value++;
  count({ path: '/1', status: '200' }).value++;
  expect(full).toEqual(['dapr_requests']);
  const lines = registry.text().trimEnd().split('\n');
  expect(lines).toHaveLength(2 + mostMembers + 2);
  expect(lines.slice(2, 4)).toEqual(['dapr_requests{path="",status="200"} 50', 'dapr_requests{path="",status="404"} 50']);
  expect(lines).toContain('dapr_requests{path="/1",status="200"} 2');
});
