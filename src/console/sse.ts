/** Server-sent events out of a stream of text, as WHATWG HTML §9.2.6 reads them; of a response, because EventSource sends no Authorization. Pure. */

export interface ServerEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Takes text as it comes, in pieces of any length, and gives the events that are whole. */
export function eventReader(): (piece: string) => readonly ServerEvent[] {
  let rest = '';
  return (piece) => {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    return blocks.flatMap(eventOf);
  };
}

/** A block without data, such as a heartbeat, is no event. */
function eventOf(block: string): readonly ServerEvent[] {
  const fields = { id: '', event: 'message' };
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, name, value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === 'data') data.push(value);
    else if (name === 'id' || name === 'event') fields[name] = value;
  }
  return data.length === 0 ? [] : [{ ...fields, data: data.join('\n') }];
}
