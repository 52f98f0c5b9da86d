/** By what a Farm that is made again is known: the farm's Secrets outlive it. */
export const sql = `
-- metadata.uid of the Secret with the keys of the farm that farm_uid is: a Farm of the same name that has that very Secret comes after it.
alter table leader add column keys_uid text;
`;
