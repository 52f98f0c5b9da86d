// biome-ignore-all lint/a11y/useSemanticElements: rows lie anywhere in a box of the whole height, which rows of a <table> cannot; axe-core judges the roles
// biome-ignore-all lint/a11y/useFocusableInteractive: the link of a row has its focus
/** A table of any length: rows that are seen are drawn, the arrow keys go through all of them. */
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
  type VirtualizerOptions,
} from '@tanstack/virtual-core';
import type { ComponentChildren, TargetedKeyboardEvent } from 'preact';
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks';

export interface Column<Item> {
  readonly name: string;
  /** Its part of the row: `flex`. */
  readonly flex: string;
  /** Left out where there is little room: `wide` first, then `middle`. */
  readonly from?: 'middle' | 'wide';
  readonly cell: (item: Item) => ComponentChildren;
}

interface TableProps<Item> {
  readonly label: string;
  readonly columns: readonly Column<Item>[];
  readonly keys: readonly string[];
  readonly itemOf: (key: string) => Item | undefined;
  /** Where its row leads. */
  readonly linkOf: (key: string) => string;
}

const ROW_PX = 34;
type Options = VirtualizerOptions<HTMLDivElement, HTMLDivElement>;

function useVirtual(
  options: Pick<Options, 'count' | 'getScrollElement' | 'getItemKey'>,
): Virtualizer<HTMLDivElement, HTMLDivElement> {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const whole: Options = {
    ...options,
    estimateSize: () => ROW_PX,
    overscan: 8,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => draw(undefined as never),
  };
  const [virtualizer] = useState(() => new Virtualizer<HTMLDivElement, HTMLDivElement>(whole));
  virtualizer.setOptions(whole);
  useLayoutEffect(() => virtualizer._didMount(), [virtualizer]);
  useLayoutEffect(() => virtualizer._willUpdate());
  return virtualizer;
}

/** How far a key goes: rows, or to an end. */
const STEPS: Readonly<Record<string, (at: number, page: number, last: number) => number>> = {
  ArrowDown: (at) => at + 1,
  ArrowUp: (at) => at - 1,
  PageDown: (at, page) => at + page,
  PageUp: (at, page) => at - page,
  Home: () => 0,
  End: (_at, _page, last) => last,
};

export function Table<Item>({ label, columns, keys, itemOf, linkOf }: TableProps<Item>) {
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const moves = useRef(false);
  const virtual = useVirtual({
    count: keys.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => keys[index] ?? index,
  });
  const at = Math.min(active, keys.length - 1);
  useEffect(() => {
    if (!moves.current) return;
    // A row far away is drawn only once the box has scrolled to it.
    const link = scroller.current?.querySelector<HTMLElement>(`[aria-rowindex="${at + 2}"] a`);
    moves.current = !link;
    link?.focus({ preventScroll: true });
  });
  const onKey = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW_PX) - 2);
    const next = Math.min(keys.length - 1, Math.max(0, step(at, page, keys.length - 1)));
    moves.current = true;
    virtual.scrollToIndex(next, { align: 'auto' });
    setActive(next);
  };
  const shown = virtual.getVirtualItems();
  // The row that has the focus of the keyboard is there, even where it was scrolled away from.
  const tabbed = shown.some(({ index }) => index === at) ? at : shown[0]?.index;
  return (
    <div
      class="grid"
      role="grid"
      aria-label={label}
      aria-rowcount={keys.length + 1}
      aria-colcount={columns.length}
      onKeyDown={onKey}
    >
      <div class="grid-scroll" ref={scroller}>
        <div role="rowgroup" class="grid-head">
          <div class="grid-row" role="row" aria-rowindex={1}>
            {columns.map(({ name, from, flex }) => (
              <div key={name} role="columnheader" class={from && `from-${from}`} style={{ flex }}>
                {name}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" class="grid-body" style={{ height: `${virtual.getTotalSize()}px` }}>
          {shown.map(({ index, start, key }) => {
            const name = keys[index] ?? '';
            const item = itemOf(name);
            return (
              <div
                key={key}
                class="grid-row"
                role="row"
                aria-rowindex={index + 2}
                style={{ transform: `translateY(${start}px)` }}
              >
                {columns.map((column, position) => (
                  <div
                    key={column.name}
                    role="gridcell"
                    class={column.from && `from-${column.from}`}
                    style={{ flex: column.flex }}
                  >
                    {position === 0 ? (
                      <a href={linkOf(name)} tabIndex={index === tabbed ? 0 : -1} onFocus={() => setActive(index)}>
                        {item ? column.cell(item) : name}
                      </a>
                    ) : (
                      item && column.cell(item)
                    )}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
