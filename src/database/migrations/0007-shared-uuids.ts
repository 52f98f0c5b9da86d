/** UUIDs that two machines have, so that no machine is taken for another one by them, at any server and after any restart. */
export const sql = `
-- A server sees that two machines have the UUID of a device and may change no device: it leaves a line here. Removing the device takes it away.
create table shared_uuid (
  uuid    uuid        not null constraint shared_uuid_pkey primary key,
  device  text        not null constraint shared_uuid_device_fkey references device on delete cascade,
  mac     text        not null,  -- of the other machine
  at      timestamptz not null default now()
);
create index shared_uuid_device on shared_uuid (device);

create trigger dirty_insert_delete after insert or delete on shared_uuid for each row execute function mark_dirty('uuid', 'uuid', 'device', 'device');
create trigger dirty_truncate after truncate on shared_uuid execute function mark_all_dirty();
`;
