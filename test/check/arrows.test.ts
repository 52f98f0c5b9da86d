import { expect, test } from '@jest/globals';
import { importsOf, parseArrows, violations } from './arrows.ts';

const arrows = parseArrows('| kit | |\n| farm | kit |\n| stream | farm kit |\n');

test('an allowed arrow passes', () => {
  expect(violations([{ path: 'stream/server.ts', imports: ['../farm/place.ts', './packet.ts'] }], arrows)).toEqual([]);
});

test.each([
  { path: 'farm/place.ts', imports: ['../stream/packet.ts'], says: 'farm may not import stream' },
  { path: 'kit/bytes.ts', imports: ['../farm/place.ts'], says: 'kit may not import farm' },
  { path: 'stream/io/native.ts', imports: ['../../dhcp/packet.ts'], says: 'stream may not import dhcp' },
])('$path importing $imports fails: $says', ({ path, imports, says }) => {
  expect(violations([{ path, imports }], arrows).join('\n')).toContain(says);
});

test('a table with aligned columns says the same', () => {
  expect(parseArrows('| kit    |          |\n| farm   | kit      |\n| stream | farm kit |\n')).toEqual(arrows);
});

test('a cycle in the table itself is named', () => {
  const looped = parseArrows('| kit | farm |\n| farm | kit |\n');
  expect(violations([], looped)).toContain('cycle: kit -> farm -> kit');
});

test('imports of every form are seen', () => {
  const text = [
    "import a from './a.ts';",
    "import type { B } from '../b.ts';",
    "export * from './c.ts';",
    "import {\n  d,\n} from './d.ts';",
    "import './e.ts';",
    "const f = await import('./f.ts');",
    "import fs from 'node:fs';",
  ].join('\n');
  expect(importsOf(text)).toEqual(['./a.ts', '../b.ts', './c.ts', './d.ts', './e.ts', './f.ts']);
});
