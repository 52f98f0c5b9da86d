/** What a field is that nobody set, where more than its schema must know; all others stand in the schema, beside what they are of. */

/** What PXE does not prescribe. */
export const DEFAULT_PORTS = { stream: 6910, control: 6911, telemetry: 6912, http: 8069 } as const;
/** Of a farm that names none. */
export const DEFAULT_SITE = 'default';
