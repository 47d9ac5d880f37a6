// The plot: for each scenario throughput as bars and latency over the share of requests as curves.
import { curveAt } from '../load/samples.ts';
import type { Measured, Row } from '../rounds.ts';

// what is measured stands out, what it is held against is grey
const colours = { plain: ['#5f6368'], direct: ['#c4c7c5'], bare: ['#747775'], subject: ['#1a73e8', '#e8710a', '#188038', '#a142f4'] };
const panel = { width: 430, height: 190, gap: 40 };

export function plot(all: Measured[]): string {
  const rowHeight = panel.height + 70;
  const width = 2 * panel.width + 3 * panel.gap;
  const body = all.map((measured, i) => `<g transform="translate(${panel.gap},${i * rowHeight + 50})">${scenario(measured)}</g>`).join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${all.length * rowHeight + 20}" font-family="system-ui, sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${body}
</svg>
`;
}

function scenario(measured: Measured): string {
  const bars = `<g>${throughput(measured)}</g>`;
  const curves = `<g transform="translate(${panel.width + panel.gap},0)">${latencies(measured)}</g>`;
  return `<text y="-24" font-size="15" font-weight="600">${escapeText(measured.title)}</text>${bars}${curves}`;
}

function throughput({ rows }: Measured): string {
  const most = Math.max(...rows.map(({ perSecond }) => perSecond));
  const step = panel.height / rows.length;
  const bars = rows.map(({ name, perSecond }, i) => {
    const length = (perSecond / most) * (panel.width - 210);
    const y = i * step + step / 2;
    return `<text x="130" y="${y + 4}" text-anchor="end">${escapeText(name)}</text><rect x="138" y="${y - 9}" width="${length.toFixed(1)}" height="18" fill="${colour(rows, i)}"/><text x="${(144 + length).toFixed(1)}" y="${y + 4}">${Math.round(perSecond).toLocaleString('en-US')}/s</text>`;
  });
  return `<text y="-6" fill="#5f6368">requests per second, saturating</text>${bars.join('')}`;
}

// both axes are logarithmic: milliseconds upwards, the slowest tenth, hundredth, thousandth to the right
function latencies({ rows, rate }: Measured): string {
  const shown = curveAt.flatMap((share, i) => (share > 0 && share < 1 ? [{ share, i }] : []));
  const values = rows.flatMap(({ curve }) => shown.map(({ i }) => curve[i] ?? Number.NaN)).filter((value) => value > 0);
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const x = (share: number) => (-Math.log10(1 - share) / 3) * (panel.width - 60) + 40;
  const y = (value: number) => panel.height - ((Math.log10(value) - low) / Math.max(1, high - low)) * (panel.height - 10);
  const grid = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)).map((value) => `<line x1="40" x2="${panel.width - 20}" y1="${y(value)}" y2="${y(value)}" stroke="#dadce0"/><text x="34" y="${y(value) + 4}" text-anchor="end">${value}</text>`);
  const shares = [0.5, 0.9, 0.99, 0.999].map((share) => `<text x="${x(share).toFixed(1)}" y="${panel.height + 16}" text-anchor="middle">${share * 100} %</text>`);
  const lines = rows.map(({ curve }, i) => {
    const points = shown.filter(({ i: at }) => (curve[at] ?? 0) > 0).map(({ share, i: at }) => `${x(share).toFixed(1)},${y(curve[at] as number).toFixed(1)}`);
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour(rows, i)}" stroke-width="2"/>`;
  });
  return `<text y="-6" fill="#5f6368">latency in ms at ${rate.toLocaleString('en-US')} requests per second</text>${grid.join('')}${shares.join('')}${lines.join('')}`;
}

function colour(rows: Row[], i: number): string {
  const role = rows[i]?.role ?? 'subject';
  const nth = rows.slice(0, i).filter((row) => row.role === role).length;
  return colours[role][nth % colours[role].length] as string;
}

const escapeText = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
