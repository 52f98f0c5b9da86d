/** Where the fields of an image lie, after the specifications and not after the readers: what a mutation changes. */

export type Kind = 'number' | 'id' | 'text' | 'bytes' | 'table';

export interface Field {
  /** In each copy of the structure that it belongs to. */
  readonly at: readonly number[];
  readonly bytes: number;
  readonly kind: Kind;
}

type Row = readonly [at: number, bytes: number, kind?: Kind];

const fields = (starts: readonly number[], rows: readonly Row[]): Field[] =>
  rows.map(([at, bytes, kind = 'number']) => ({ at: starts.map((start) => start + at), bytes, kind }));

const times = (many: number, each: number, rows: readonly Row[]): Row[] =>
  Array.from({ length: many }, (_, index) =>
    rows.map(([at, bytes, kind = 'number']): Row => [at + index * each, bytes, kind]),
  ).flat();

const FOOTER: readonly Row[] = [
  [0, 8, 'bytes'],
  ...[8, 12, 24, 28, 32, 36, 60].map((at): Row => [at, 4]),
  ...[16, 40, 48].map((at): Row => [at, 8]),
  ...[56, 58, 59, 84].map((at): Row => [at, at === 56 ? 2 : 1]),
  [68, 16, 'id'],
];

const VHD_HEADER: readonly Row[] = [
  [0, 8, 'bytes'],
  ...[8, 16].map((at): Row => [at, 8]),
  ...[24, 28, 32, 56].map((at): Row => [at, 4]),
  [40, 16, 'id'],
  [64, 512, 'text'],
  ...times(8, 24, [
    [576, 4, 'bytes'],
    [580, 4],
    [584, 4],
    [592, 8],
  ]),
];

export interface VhdPlaces {
  readonly fileBytes: number;
  readonly isFixed: boolean;
  /** Entries of the table. */
  readonly blocks: number;
  /** Of locators, with their bytes. */
  readonly locators: readonly (readonly [at: number, bytes: number])[];
}

export function vhdFields({ fileBytes, isFixed, blocks, locators }: VhdPlaces): readonly Field[] {
  if (isFixed) return fields([fileBytes - 512], FOOTER);
  return [
    ...fields([0, fileBytes - 512], FOOTER),
    ...fields([512], VHD_HEADER),
    ...fields([1_536], times(blocks, 4, [[0, 4, 'table']])),
    ...locators.flatMap(([at, bytes]) => fields([at], [[0, bytes, 'text']])),
    ...fields([2_048], times(8, 16, [[0, 16, 'bytes']])),
  ];
}

const MIB = 1 << 20;
const KIB = 1_024;

const VHDX_HEADER: readonly Row[] = [
  [0, 4, 'bytes'],
  [8, 8],
  ...[16, 32, 48].map((at): Row => [at, 16, 'id']),
  [64, 2],
  [66, 2],
  [68, 4],
  [72, 8],
];

const REGION: readonly Row[] = [
  [16, 16, 'id'],
  [32, 8],
  [40, 4],
  [44, 4],
];

const ITEM: readonly Row[] = [
  [32, 16, 'id'],
  [48, 4],
  [52, 4],
  [56, 4],
];

const LOCATOR_ENTRY: readonly Row[] = [
  [20, 4],
  [24, 4],
  [28, 2],
  [30, 2],
];

const LOG_ENTRY: readonly Row[] = [
  [0, 4, 'bytes'],
  ...[8, 12, 24].map((at): Row => [at, 4]),
  ...[16, 48, 56].map((at): Row => [at, 8]),
  [32, 16, 'id'],
];

const DESCRIPTOR: readonly Row[] = [[64, 4, 'bytes'], [68, 4], ...[72, 80, 88].map((at): Row => [at, 8])];

export interface VhdxPlaces {
  readonly metadata: number;
  readonly table: number;
  readonly blocks: number;
  /** Of each entry of the log. */
  readonly log: readonly number[];
  readonly hasParent: boolean;
}

/** Items lie one after the other, as the builder puts them. */
export function vhdxFields({ metadata, table, blocks, log, hasParent }: VhdxPlaces): readonly Field[] {
  const items = metadata + 64 * KIB;
  const locator = items + 8 + 8 + 16 + 4 + 4;
  return [
    ...fields([0], [[0, 8, 'bytes']]),
    ...fields([64 * KIB, 128 * KIB], VHDX_HEADER),
    ...fields([192 * KIB, 256 * KIB], [[0, 4, 'bytes'], [8, 4], ...times(3, 32, REGION)]),
    ...fields([metadata], [[0, 8, 'bytes'], [10, 2], ...times(7, 32, ITEM)]),
    ...fields(
      [items],
      [
        [0, 4],
        [4, 4],
        [8, 8],
        [16, 16, 'id'],
        [32, 4],
        [36, 4],
      ],
    ),
    ...fields([table], times(blocks, 8, [[0, 8, 'table']])),
    ...log.flatMap((at) =>
      fields([at], [...LOG_ENTRY, ...times(2, 32, DESCRIPTOR), [4_096, 4, 'bytes'], [4_100, 4], [8_188, 4]]),
    ),
    ...(hasParent
      ? [
          ...fields([locator], [[0, 16, 'id'], [18, 2], ...times(3, 12, LOCATOR_ENTRY), [56, 240, 'text']]),
          ...fields([table], [[8 * (2 ** 32 / MIB), 8, 'table']]),
        ]
      : []),
  ];
}
