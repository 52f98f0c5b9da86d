/**
 * The triggers write the change feed by the right of the owner of the tables: a server changes its own rows and has no right on the feed.
 * The search path is fixed, with `pg_temp` last: by default a temporary table of the caller would come first and its triggers run as the owner.
 * Who has which right is no migration: `roles.ts` brings it about.
 */
export const sql = `
do $$
begin
  execute format('alter function mark_dirty() security definer set search_path = %I, pg_temp', current_schema());
  execute format('alter function mark_all_dirty() security definer set search_path = %I, pg_temp', current_schema());
end $$;
`;
