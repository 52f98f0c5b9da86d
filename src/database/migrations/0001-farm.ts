/** The farm's tables, and the triggers that say what the replica must read again. */
export const sql = `
-- Who the farm is. One database holds one farm.
create table farm (
  id        uuid    not null default gen_random_uuid() constraint farm_pkey primary key,
  one       boolean not null default true constraint farm_one_key unique constraint farm_one_check check (one),
  name      text    not null,
  mode      text    not null,
  offline   jsonb   not null,
  auto_add  jsonb,
  suspend   boolean not null
);

-- Projected from the resources, keyed by name. A row goes only when a deletion was witnessed; a resource that is merely
-- absent (a cluster restored empty) leaves it orphaned, and it is served on.
create table site (
  name      text    not null constraint site_pkey primary key,
  boot      jsonb   not null,
  orphaned  boolean not null default false
);

create table collection (
  name      text    not null constraint collection_pkey primary key,
  site      text    not null constraint collection_site_fkey references site,
  vdisk     text,  -- no reference: resources come in any order
  class     text    not null constraint collection_class_check check (class in ('Maintenance', 'Test', 'Production')),
  template  jsonb   not null,
  orphaned  boolean not null default false
);

create table store (
  name      text    not null constraint store_pkey primary key,
  site      text,
  pools     text[]  not null,
  servers   text[]  not null,
  local     jsonb   not null,
  orphaned  boolean not null default false
);

create table server_pool (
  name      text    not null constraint server_pool_pkey primary key,
  site      text    not null,
  orphaned  boolean not null default false
);

create table vdisk (
  name            text    not null constraint vdisk_pkey primary key,
  store           text    not null,
  file_name       text    not null,
  enabled         boolean not null,
  load_balancing  jsonb   not null,
  overlay_mib     integer not null,
  boot_version    integer,
  command_line    text    not null,
  orphaned        boolean not null default false
);

create table vdisk_version (
  vdisk       text    not null constraint vdisk_version_vdisk_fkey references vdisk on delete cascade,
  number      integer not null constraint vdisk_version_number_check check (number >= 0),
  access      text    not null constraint vdisk_version_access_check check (access in ('Maintenance', 'Test', 'Production')),
  release_at  bigint,  -- unix seconds
  content     jsonb,   -- {manifest, files}: who is right about this version. The database is the record
  listed      boolean not null default true,  -- false: its VDisk names it no more. Not served; the content is kept for its return
  constraint vdisk_version_pkey primary key (vdisk, number)
);

create table device (
  name        text    not null constraint device_pkey primary key
    constraint device_name_check check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  uuid        uuid    constraint device_uuid_key unique,
  collection  text    not null constraint device_collection_fkey references collection,
  class       text    constraint device_class_check check (class in ('Maintenance', 'Test', 'Production')),
  enabled     boolean not null default true,
  properties  jsonb   not null default '{}' constraint device_properties_check check (octet_length(properties::text) <= 65536)
);
create index device_collection on device (collection);

create table device_mac (
  mac       text     not null constraint device_mac_pkey primary key
    constraint device_mac_mac_check check (mac ~ '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$'),
  device    text     not null constraint device_mac_device_fkey references device on delete cascade,
  position  smallint not null constraint device_mac_position_check check (position between 0 and 7),
  constraint device_mac_position_key unique (device, position)
);

-- Written by the servers themselves.
create table server (
  name          text             not null constraint server_pkey primary key,
  site          text             not null,
  pool          text             not null,
  address       text             not null,
  ports         jsonb            not null,
  power_rating  double precision not null,
  heartbeat     timestamptz      not null default now()
);

-- An ended session stays as the mark that keeps an older one, replayed late, from coming to life again.
create table session (
  device    text    not null constraint session_pkey primary key,  -- no reference: a journal may know a device first
  server    text    not null,
  vdisk     text    not null,
  version   integer not null,
  since     bigint  not null,  -- unix milliseconds
  epoch     bigint  not null,  -- the highest wins
  protocol  text    not null,
  ended     boolean not null default false
);

create table copy (
  server            text    not null,
  vdisk             text    not null,
  version           integer not null,
  state             text    not null,
  progress_percent  integer not null,
  manifest          text,
  message           text    not null,
  reported_at       timestamptz not null default now(),
  constraint copy_pkey primary key (server, vdisk, version)
);

create table journal_entry (
  id          uuid        not null constraint journal_entry_pkey primary key,
  server      text        not null,
  applied_at  timestamptz not null default now()
);
create index journal_entry_applied_at on journal_entry (applied_at);

create table audit (
  id      bigint      generated always as identity constraint audit_pkey primary key,
  at      timestamptz not null default now(),
  source  text        not null constraint audit_source_check check (source in ('resource', 'command', 'api', 'auto-add', 'offline')),
  who     text        not null,
  action  text        not null,
  kind    text        not null,
  name    text        not null,
  before  jsonb,
  after   jsonb
);
create index audit_at on audit (at);

-- The change feed. Append-only, so that a change whose transaction still runs can never be covered by the deletion of an
-- earlier one of the same key; the projector deletes exactly the rows that it has seen.
create table dirty (
  id    bigint      generated always as identity constraint dirty_pkey primary key,
  kind  text        not null,
  key   text        not null,
  at    timestamptz not null default now()
);

-- What the replica was last brought up to, and by which leader. An empty token equals none: the replica is rebuilt.
create table feed_cursor (
  one    boolean not null default true constraint feed_cursor_pkey primary key constraint feed_cursor_one_check check (one),
  token  text    not null default '',
  epoch  bigint  not null default 0
);
insert into feed_cursor default values;

-- Arguments in pairs: the kind, and the columns of its key joined by '/'.
create function mark_dirty() returns trigger language plpgsql as $$
declare
  rows  jsonb[] := array[]::jsonb[];
  made  text;
begin
  if tg_op <> 'INSERT' then rows := rows || to_jsonb(old); end if;
  if tg_op <> 'DELETE' then rows := rows || to_jsonb(new); end if;
  for pair in 0 .. tg_nargs / 2 - 1 loop
    for made in
      select distinct key from (
        select (select string_agg(r ->> c, '/' order by n)
                from unnest(string_to_array(tg_argv[pair * 2 + 1], '/')) with ordinality as t (c, n)) as key
        from unnest(rows) as r) as keys
      where key is not null
    loop
      insert into dirty (kind, key) values (tg_argv[pair * 2], made);
    end loop;
  end loop;
  return null;
end $$;

-- TRUNCATE names no rows, so all is read again.
create function mark_all_dirty() returns trigger language plpgsql as $$
begin
  update feed_cursor set token = '';
  return null;
end $$;

-- All that the replica holds. A server's heartbeat is no change.
do $$
declare
  watched record;
begin
  for watched in
    select * from (values
      ('farm', array['farm', 'one']),
      ('site', array['site', 'name']),
      ('collection', array['collection', 'name']),
      ('store', array['store', 'name']),
      ('vdisk', array['vdisk', 'name']),
      ('vdisk_version', array['version', 'vdisk/number']),
      ('device', array['device', 'name', 'uuid', 'uuid']),
      ('device_mac', array['device', 'device', 'mac', 'mac']),
      ('server', array['server', 'name']),
      ('session', array['session', 'device'])) as t (name, arguments)
  loop
    execute format('create trigger dirty_insert_delete after insert or delete on %I for each row execute function mark_dirty(%s)',
      watched.name, (select string_agg(quote_literal(a), ', ') from unnest(watched.arguments) a));
    execute format('create trigger dirty_update after update on %I for each row when (%s) execute function mark_dirty(%s)',
      watched.name,
      case watched.name
        when 'server' then '(old.name, old.site, old.pool, old.address, old.ports, old.power_rating)
          is distinct from (new.name, new.site, new.pool, new.address, new.ports, new.power_rating)'
        else 'old.* is distinct from new.*'
      end,
      (select string_agg(quote_literal(a), ', ') from unnest(watched.arguments) a));
    execute format('create trigger dirty_truncate after truncate on %I execute function mark_all_dirty()', watched.name);
  end loop;
end $$;
`;
