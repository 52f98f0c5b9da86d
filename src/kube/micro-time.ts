/** A time as the API wants it in Lease and Event (MicroTime): six decimals, or it is refused. */
export const microTime = (epochMs: number): string => new Date(epochMs).toISOString().replace('Z', '000Z');
