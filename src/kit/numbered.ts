/** The order of names with numbers in them: `lab.10` is after `lab.9`. */
export const byNumbers: (a: string, b: string) => number = new Intl.Collator('en', { numeric: true }).compare;
