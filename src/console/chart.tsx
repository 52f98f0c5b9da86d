/** Numbers over time, drawn by uPlot; in words for who does not see it. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { theme } from './theme.tsx';

export interface Line {
  readonly name: string;
  /** A colour of `tokens.css`: `--good`. */
  readonly colour: string;
  readonly values: readonly number[];
  readonly dash?: readonly number[];
}

const HEIGHT_PX = 160;

/** As the box has it: a canvas knows nothing of `light-dark()`, which is what a property says by itself. */
function colourIn(box: HTMLElement): (name: string) => string {
  return (name) => {
    box.style.color = `var(${name})`;
    const { color } = getComputedStyle(box);
    box.style.color = '';
    return color;
  };
}

function optionsOf(box: HTMLElement, lines: readonly Line[]): uPlot.Options {
  const width = box.clientWidth;
  const colourOf = colourIn(box);
  const axis: uPlot.Axis = {
    stroke: colourOf('--ink-quiet'),
    grid: { stroke: colourOf('--line'), width: 1 },
    ticks: { stroke: colourOf('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
  };
  return {
    width,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(4, Math.ceil(max * 1.1))] } },
    axes: [axis, { ...axis, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000] }],
    series: [
      {},
      ...lines.map(({ name, colour, dash }) => ({
        label: name,
        stroke: colourOf(colour),
        width: 2,
        points: { show: false },
        ...(dash ? { dash: [...dash] } : {}),
      })),
    ],
  };
}

/** `times`: Unix seconds. */
export function Chart({
  times,
  lines,
  says,
}: {
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly says: string;
}) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const newest = useRef<uPlot.AlignedData>([[]]);
  newest.current = [[...times], ...lines.map(({ values }) => [...values])];
  useEffect(() => {
    const box = place.current;
    if (!box) return undefined;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(box, lines), newest.current, box);
    };
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: box.clientWidth, height: HEIGHT_PX }));
    draw();
    resized.observe(box);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', draw);
    return () => {
      dark.removeEventListener('change', draw);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
    // Its colours are of the theme, and it draws them once.
  }, [theme.value]);
  useEffect(() => plot.current?.setData(newest.current), [times]);
  return (
    <figure class="chart">
      <div ref={place} role="img" aria-label={says} />
      <figcaption>
        {lines.map(({ name, colour, dash }) => (
          <span key={name}>
            <svg class="chart-key" viewBox="0 0 24 6" aria-hidden="true">
              <path d="M0 3h24" style={{ stroke: `var(${colour})` }} stroke-dasharray={dash?.join(' ')} />
            </svg>
            {name}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
