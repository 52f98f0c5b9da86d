/** Quantities of a spec as numbers. The schema has refused what these can't read: anything else is a bug and throws. */

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  ...Object.fromEntries(['k', 'M', 'G', 'T', 'P', 'E'].map((unit, index) => [unit, 1_000 ** (index + 1)])),
  ...Object.fromEntries(['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((unit, index) => [unit, 1_024 ** (index + 1)])),
};

/** A Kubernetes quantity in its base unit (bytes, bits a second, CPUs): `8Gi` → 8589934592, `500m` → 0.5. */
export function quantityOf(quantity: string | number): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(String(quantity)) ?? [];
  const factor = FACTORS[unit];
  if (digits === undefined || factor === undefined)
    throw new Error(`not a quantity: ${JSON.stringify(quantity)}; write it as 8Gi or 500M`);
  return Number(digits) * factor;
}

interface Requirements {
  readonly requests?: Readonly<Record<string, string | number>>;
  readonly limits?: Readonly<Record<string, string | number>>;
}

/** As the API gives it back: a number would differ at each reconcile. */
export const requirementsOf = ({ requests, limits }: Requirements) => ({
  ...(requests ? { requests: asTexts(requests) } : {}),
  ...(limits ? { limits: asTexts(limits) } : {}),
});

const asTexts = (quantities: Readonly<Record<string, string | number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(quantities).map(([name, quantity]) => [name, String(quantity)]));
