/** A list of the farm as the page holds it: read whole, in pages, and kept by changes from then on. Pure but for what it is given to read with. */
import type { Page, Stale } from './shapes.ts';

export interface View<T> {
  /** `some`: its first pages are there, and more come. `refused`: the API said why not. */
  readonly state: 'unread' | 'some' | 'all' | 'refused';
  readonly items: ReadonlyMap<string, T>;
  readonly problem?: string;
  readonly stale?: Stale;
}

export interface ListOptions<Row, T> {
  readonly read: () => AsyncIterable<Page<Row>>;
  readonly keyOf: (row: Row) => string;
  readonly itemOf: (row: Row) => T;
  readonly publish: (view: View<T>) => void;
}

/** Gives the item as it is after a change; undefined: it is gone. */
type Edit<T> = (before: T | undefined) => T | undefined;

export class List<Row, T> {
  readonly #options: ListOptions<Row, T>;
  #view: View<T> = { state: 'unread', items: new Map() };
  #items = new Map<string, T>();
  /** Changes that came while it is read: what is read may be older than they are. */
  #meanwhile: [string, Edit<T>][] | undefined;
  #again = false;
  #reading: Promise<void> | undefined;

  constructor(options: ListOptions<Row, T>) {
    this.#options = options;
  }

  get isRead(): boolean {
    return this.#view.state !== 'unread';
  }

  /** Once it is being read, another wish for it is one more reading behind it, however many there are. */
  read(): Promise<void> {
    if (this.#reading) this.#again = true;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    do {
      this.#again = false;
      await this.#readOnce();
    } while (this.#again);
  }

  async #readOnce(): Promise<void> {
    const { read, keyOf, itemOf } = this.#options;
    const next = new Map<string, T>();
    const isFirst = this.#view.state === 'unread' || this.#view.state === 'refused';
    const meanwhile: [string, Edit<T>][] = [];
    this.#meanwhile = meanwhile;
    let stale: Stale | undefined;
    try {
      for await (const page of read()) {
        for (const row of page.items) next.set(keyOf(row), itemOf(row));
        stale = page.stale ?? stale;
        if (isFirst && page.continue !== undefined) this.#show('some', next, stale);
      }
      for (const [key, edit] of meanwhile) change(next, key, edit);
      this.#show('all', next, stale);
    } catch (thrown) {
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      this.#view = isFirst ? { state: 'refused', items: new Map(), problem } : { ...this.#view, problem };
      this.#options.publish(this.#view);
    } finally {
      this.#meanwhile = undefined;
    }
  }

  #show(state: View<T>['state'], items: Map<string, T>, stale: Stale | undefined): void {
    this.#items = items;
    this.#view = { state, items, ...(stale ? { stale } : {}) };
    this.#options.publish(this.#view);
  }

  /** Of one look: shown once. */
  edit(edits: readonly (readonly [string, Edit<T>])[]): void {
    if (!this.isRead && !this.#meanwhile) return;
    this.#meanwhile?.push(...edits.map(([key, edit]): [string, Edit<T>] => [key, edit]));
    for (const [key, edit] of edits) change(this.#items, key, edit);
    this.#view = { ...this.#view };
    this.#options.publish(this.#view);
  }
}

function change<T>(items: Map<string, T>, key: string, edit: Edit<T>): void {
  const after = edit(items.get(key));
  if (after === undefined) items.delete(key);
  else items.set(key, after);
}
