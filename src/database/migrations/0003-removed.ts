/** Marks of devices that were removed, so that their tickets end with them. */
export const sql = `
-- A ticket lives seven days and says who may read; a server that knows only the devices there are cannot tell one that was removed from one that the
-- replica does not show yet. Adding the device again takes its mark away. TRUNCATE leaves none: it is no removal of ours.
create table removed (
  device  text        not null constraint removed_pkey primary key,
  at      timestamptz not null default now()
);

-- By the right of the owner of the tables: who adds devices needs none on the marks. pg_temp last, or a table of the caller would be taken for ours.
create function mark_removed() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    insert into removed (device) select name from devices order by name on conflict (device) do update set at = now();
  else
    delete from removed where device in (select name from devices);
  end if;
  delete from removed where at < now() - interval '8 days';
  return null;
end $$;
do $$
begin
  execute format('alter function mark_removed() security definer set search_path = %I, pg_temp', current_schema());
end $$;

create trigger removed_delete after delete on device referencing old table as devices for each statement execute function mark_removed();
create trigger removed_insert after insert on device referencing new table as devices for each statement execute function mark_removed();

create trigger dirty_insert_delete after insert or delete on removed for each row execute function mark_dirty('removed', 'device');
create trigger dirty_truncate after truncate on removed execute function mark_all_dirty();
`;
