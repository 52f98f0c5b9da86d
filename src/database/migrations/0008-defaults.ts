/** Which version is the default: one that enough servers had right, or one that a person chose for a while. */
export const sql = `
-- Unix seconds: since when enough servers had it right. What is known already has been served all along.
alter table vdisk_version add column settled_at bigint;
update vdisk_version set settled_at = extract(epoch from now())::bigint where content is not null and listed and doc ->> 'access' = 'Production';

-- Of bootfarm rollback: the resources, and so git, are not touched.
create table version_override (
  vdisk    text        not null constraint version_override_pkey primary key
    constraint version_override_vdisk_fkey references vdisk on delete cascade,
  version  integer     not null constraint version_override_version_check check (version >= 0),
  until    bigint constraint version_override_until_check check (until between 0 and 253402300799),  -- unix seconds; null: until it is cleared
  at       timestamptz not null default now(),
  who      text        not null
);
create trigger dirty_insert_delete after insert or delete on version_override for each row execute function mark_dirty('override', 'vdisk');
create trigger dirty_update after update on version_override for each row when (old.* is distinct from new.*)
  execute function mark_dirty('override', 'vdisk');
create trigger dirty_truncate after truncate on version_override execute function mark_all_dirty();
`;
