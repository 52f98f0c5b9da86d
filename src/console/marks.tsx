/** States by shape: each differs from the others without its colour, which `look.css` gives. Beside each stands its word. */
import type { JSX } from 'preact';

const circle = <circle cx="8" cy="8" r="6" />;
const SHAPES = {
  good: (
    <>
      <circle cx="8" cy="8" r="7" class="fill" />
      <path d="m4.5 8.2 2.4 2.4 4.6-5" class="cut" />
    </>
  ),
  broken: (
    <>
      <path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" class="fill" />
      <path d="m5.5 5.5 5 5m0-5-5 5" class="cut" />
    </>
  ),
  worse: (
    <>
      <path d="M8 1.5 15 14H1z" class="fill" />
      <path d="M8 6v4m0 1.8v.4" class="cut" />
    </>
  ),
  working: (
    <>
      {circle}
      <path d="M8 4.5V8l2.5 1.5" />
    </>
  ),
  note: (
    <>
      <rect x="2" y="2" width="12" height="12" rx="2" />
      <path d="M8 7v4.5M8 4.3v.4" />
    </>
  ),
  unknown: (
    <>
      <circle cx="8" cy="8" r="6" class="dashed" />
      <path d="M6 6.2C6 5 7 4.5 8 4.5s2 .6 2 1.7C10 7.500 8 7.600 8 9m0 2v.3" />
    </>
  ),
  off: circle,
  disabled: (
    <>
      {circle}
      <path d="m4 12 8-8" />
    </>
  ),
  // The nine states of a copy.
  UpToDate: (
    <>
      <circle cx="8" cy="8" r="7" class="fill" />
      <path d="m4.5 8.2 2.4 2.4 4.6-5" class="cut" />
    </>
  ),
  Missing: <circle cx="8" cy="8" r="6" class="dashed" />,
  OutOfDate: (
    <>
      {circle}
      <path d="M8 2a6 6 0 0 0 0 12z" class="fill" />
    </>
  ),
  PropertiesMissing: <rect x="2.500" y="2.500" width="11" height="11" class="dashed" />,
  PropertiesOutOfDate: (
    <>
      <rect x="2.500" y="2.500" width="11" height="11" />
      <path d="M2.500 2.500H8v11H2.500z" class="fill" />
    </>
  ),
  ServerUnreachable: <path d="m3 3 10 10M13 3 3 13" class="thick" />,
  Copying: <path d="M8 2v9m-4-4 4 4 4-4M2.500 14h11" class="thick" />,
  Corrupt: (
    <>
      <path d="M8 1.5 15 14H1z" class="fill" />
      <path d="M8 6v4m0 1.800v.4" class="cut" />
    </>
  ),
  Conflict: (
    <>
      <path d="M8 1l7 7-7 7-7-7z" class="fill" />
      <path d="M5 6.700h6M5 9.300h6" class="cut" />
    </>
  ),
} as const satisfies Readonly<Record<string, JSX.Element>>;

export type MarkName = keyof typeof SHAPES;
export const isMark = (name: string): name is MarkName => name in SHAPES;

export function Mark({ name }: { readonly name: MarkName }) {
  return (
    <svg class={`mark mark-${name}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {SHAPES[name]}
    </svg>
  );
}
