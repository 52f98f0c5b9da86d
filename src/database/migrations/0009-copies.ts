/** What is told of a copy: since when it is so, how long it still takes, and what it holds where servers disagree. The replica holds it, too. */
export const sql = `
alter table copy
  add column since        timestamptz not null default now(),  -- this state began
  add column seconds_left integer,  -- as it was at reported_at
  add column verified_at  timestamptz,
  add column files        jsonb;  -- in Conflict alone: what \`bootfarm vdisk accept\` makes right
create index copy_vdisk on copy (vdisk);

create trigger dirty_insert_delete after insert or delete on copy for each row execute function mark_dirty('copy', 'vdisk/version/server');
create trigger dirty_update after update on copy for each row when (old.* is distinct from new.*)
  execute function mark_dirty('copy', 'vdisk/version/server');
create trigger dirty_truncate after truncate on copy execute function mark_all_dirty();
`;
