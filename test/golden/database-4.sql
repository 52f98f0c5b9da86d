SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.mark_all_dirty() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  update feed_cursor set token = '';
  return null;
end $$;
CREATE FUNCTION public.mark_dirty() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
CREATE FUNCTION public.mark_removed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if tg_op = 'DELETE' then
    insert into removed (device) select name from devices order by name on conflict (device) do update set at = now();
  else
    delete from removed where device in (select name from devices);
  end if;
  delete from removed where at < now() - interval '8 days';
  return null;
end $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    source text NOT NULL,
    who text NOT NULL,
    action text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    before jsonb,
    after jsonb,
    CONSTRAINT audit_source_check CHECK ((source = ANY (ARRAY['resource'::text, 'command'::text, 'api'::text, 'auto-add'::text, 'offline'::text])))
);
ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.collection (
    name text NOT NULL,
    site text NOT NULL,
    vdisk text,
    class text NOT NULL,
    template jsonb NOT NULL,
    orphaned boolean DEFAULT false NOT NULL,
    CONSTRAINT collection_class_check CHECK ((class = ANY (ARRAY['Maintenance'::text, 'Test'::text, 'Production'::text])))
);
CREATE TABLE public.copy (
    server text NOT NULL,
    vdisk text NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    progress_percent integer NOT NULL,
    manifest text,
    message text NOT NULL,
    reported_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.device (
    name text NOT NULL,
    uuid uuid,
    collection text NOT NULL,
    class text,
    enabled boolean DEFAULT true NOT NULL,
    properties jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT device_class_check CHECK ((class = ANY (ARRAY['Maintenance'::text, 'Test'::text, 'Production'::text]))),
    CONSTRAINT device_name_check CHECK ((name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'::text)),
    CONSTRAINT device_properties_check CHECK ((octet_length((properties)::text) <= 65536))
);
CREATE TABLE public.device_mac (
    mac text NOT NULL,
    device text NOT NULL,
    "position" smallint NOT NULL,
    CONSTRAINT device_mac_mac_check CHECK ((mac ~ '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$'::text)),
    CONSTRAINT device_mac_position_check CHECK ((("position" >= 0) AND ("position" <= 7)))
);
CREATE TABLE public.dirty (
    id bigint NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE public.dirty ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dirty_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.farm (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    one boolean DEFAULT true NOT NULL,
    name text NOT NULL,
    mode text NOT NULL,
    offline jsonb NOT NULL,
    auto_add jsonb,
    suspend boolean NOT NULL,
    CONSTRAINT farm_one_check CHECK (one)
);
CREATE TABLE public.feed_cursor (
    one boolean DEFAULT true NOT NULL,
    token text DEFAULT ''::text NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    revision bigint DEFAULT 0 NOT NULL,
    adoptions integer DEFAULT 0 NOT NULL,
    replaces text[] DEFAULT '{}'::text[] NOT NULL,
    stepped_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT feed_cursor_one_check CHECK (one)
);
CREATE TABLE public.journal_entry (
    id uuid NOT NULL,
    server text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.leader (
    one boolean DEFAULT true NOT NULL,
    epoch bigint NOT NULL,
    farm_uid text,
    farm_name text,
    CONSTRAINT leader_one_check CHECK (one)
);
CREATE TABLE public.migration (
    number integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.removed (
    device text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.server (
    name text NOT NULL,
    site text NOT NULL,
    pool text NOT NULL,
    address text NOT NULL,
    ports jsonb NOT NULL,
    power_rating double precision NOT NULL,
    heartbeat timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.server_pool (
    name text NOT NULL,
    site text NOT NULL,
    orphaned boolean DEFAULT false NOT NULL
);
CREATE TABLE public.session (
    device text NOT NULL,
    server text NOT NULL,
    vdisk text NOT NULL,
    version integer NOT NULL,
    since bigint NOT NULL,
    epoch bigint NOT NULL,
    protocol text NOT NULL,
    ended boolean DEFAULT false NOT NULL
);
CREATE TABLE public.site (
    name text NOT NULL,
    boot jsonb NOT NULL,
    orphaned boolean DEFAULT false NOT NULL
);
CREATE TABLE public.store (
    name text NOT NULL,
    site text,
    pools text[] NOT NULL,
    servers text[] NOT NULL,
    local jsonb NOT NULL,
    orphaned boolean DEFAULT false NOT NULL
);
CREATE TABLE public.vdisk (
    name text NOT NULL,
    store text NOT NULL,
    file_name text NOT NULL,
    enabled boolean NOT NULL,
    load_balancing jsonb NOT NULL,
    overlay_mib integer NOT NULL,
    boot_version integer,
    command_line text NOT NULL,
    orphaned boolean DEFAULT false NOT NULL
);
CREATE TABLE public.vdisk_version (
    vdisk text NOT NULL,
    number integer NOT NULL,
    access text NOT NULL,
    release_at bigint,
    content jsonb,
    listed boolean DEFAULT true NOT NULL,
    CONSTRAINT vdisk_version_access_check CHECK ((access = ANY (ARRAY['Maintenance'::text, 'Test'::text, 'Production'::text]))),
    CONSTRAINT vdisk_version_number_check CHECK ((number >= 0))
);
INSERT INTO public.audit OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-28 20:53:37.578223+00', 'command', 'test', 'add', 'device', 'pc0001', NULL, '{"macs": ["52:54:00:00:00:01"], "name": "pc0001", "enabled": true, "collection": "room-101", "properties": {}}');
INSERT INTO public.collection VALUES ('room-101', 'default', 'lab', 'Production', '{"timezone": "Europe/Paris"}', false);
INSERT INTO public.collection VALUES ('room-102', 'default', NULL, 'Test', '{}', false);
INSERT INTO public.device VALUES ('pc0001', NULL, 'room-101', NULL, true, '{}');
INSERT INTO public.device_mac VALUES ('52:54:00:00:00:01', 'pc0001', 0);
INSERT INTO public.farm VALUES ('f82cea18-162a-4d77-aa2f-14ba8d36bc34', true, 'farm', 'Authenticated', '{"enabled": true, "maxAgeSeconds": 2592000}', '{"digits": 4, "collection": "room-101", "maxDevices": 1000, "namePrefix": "pc", "maxPerMinute": 10}', false);
INSERT INTO public.feed_cursor VALUES (true, '5b7e1194-1f57-4e02-9f37-920ed07c0296', 1, 1, 0, '{}', '2026-11-28 20:53:37.797869+00');
INSERT INTO public.leader VALUES (true, 0, NULL, NULL);
INSERT INTO public.migration VALUES (1, 'farm', '02acd1d9e0adaa315777a20243c227334f6205b5d1dd1c31576269cc6b5868f1', '2026-11-28 20:53:37.403243+00');
INSERT INTO public.migration VALUES (2, 'identity', '15a89bd3564004210ab1267ddc84ee11dcfb56f2fed7c24a46276e1e2f6ed898', '2026-11-28 20:53:37.458709+00');
INSERT INTO public.migration VALUES (3, 'removed', '9331be96b8cb3157e939adb627451443479aabda9a76aa72840538c9810d4a19', '2026-11-28 20:53:37.467022+00');
INSERT INTO public.migration VALUES (4, 'rights', 'bfbc6e00e729f6baa2e2fe73836e5fa8327b8481fae7610b8908eec1d6f13875', '2026-11-28 20:53:37.474251+00');
INSERT INTO public.server VALUES ('node-a', 'default', 'main', '10.77.0.11', '{"http": 8069, "stream": 6910, "control": 6911}', 1.5, '2026-11-28 20:53:37.565796+00');
INSERT INTO public.server_pool VALUES ('main', 'default', false);
INSERT INTO public.session VALUES ('pc0001', 'node-a', 'lab', 0, 1767225600000, 1767225600000, 'stream', false);
INSERT INTO public.site VALUES ('default', '{"http": {"port": 8069, "enabled": true}, "tftp": true, "verbose": false, "noServer": {"action": "Wait", "afterSeconds": 600}, "bootFiles": {"bios": "undionly.kpxe", "efi64": "snponly.efi"}, "proxyDHCP": true, "loginServers": [{"host": "10.77.0.11", "port": 6910}], "unknownDevices": "Ignore"}', false);
INSERT INTO public.store VALUES ('local', NULL, '{}', '{}', '{"path": "/srv/vdisks", "nodes": {"node-b": "/data/vdisks"}}', false);
INSERT INTO public.store VALUES ('near', 'default', '{main}', '{node-a}', '{"path": "/srv/near", "nodes": {}}', false);
INSERT INTO public.vdisk VALUES ('lab', 'local', 'lab', true, '{"algorithm": "LeastBusy", "subnetAffinity": "None"}', 2048, 0, 'quiet', false);
INSERT INTO public.vdisk VALUES ('pinned', 'near', 'pinned', false, '{"server": "node-a"}', 64, NULL, '', false);
INSERT INTO public.vdisk_version VALUES ('lab', 1, 'Test', NULL, NULL, true);
INSERT INTO public.vdisk_version VALUES ('lab', 0, 'Production', 1767225600, '{"files": [{"name": "lab.raw", "sha256": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "sizeBytes": 3000000000}], "manifest": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}', true);
SELECT pg_catalog.setval('public.audit_id_seq', 1, true);
SELECT pg_catalog.setval('public.dirty_id_seq', 16, true);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.collection
    ADD CONSTRAINT collection_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.copy
    ADD CONSTRAINT copy_pkey PRIMARY KEY (server, vdisk, version);
ALTER TABLE ONLY public.device_mac
    ADD CONSTRAINT device_mac_pkey PRIMARY KEY (mac);
ALTER TABLE ONLY public.device_mac
    ADD CONSTRAINT device_mac_position_key UNIQUE (device, "position");
ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_uuid_key UNIQUE (uuid);
ALTER TABLE ONLY public.dirty
    ADD CONSTRAINT dirty_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.farm
    ADD CONSTRAINT farm_one_key UNIQUE (one);
ALTER TABLE ONLY public.farm
    ADD CONSTRAINT farm_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.feed_cursor
    ADD CONSTRAINT feed_cursor_pkey PRIMARY KEY (one);
ALTER TABLE ONLY public.journal_entry
    ADD CONSTRAINT journal_entry_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.leader
    ADD CONSTRAINT leader_pkey PRIMARY KEY (one);
ALTER TABLE ONLY public.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.removed
    ADD CONSTRAINT removed_pkey PRIMARY KEY (device);
ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.server_pool
    ADD CONSTRAINT server_pool_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (device);
ALTER TABLE ONLY public.site
    ADD CONSTRAINT site_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.store
    ADD CONSTRAINT store_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.vdisk
    ADD CONSTRAINT vdisk_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.vdisk_version
    ADD CONSTRAINT vdisk_version_pkey PRIMARY KEY (vdisk, number);
CREATE INDEX audit_at ON public.audit USING btree (at);
CREATE INDEX device_collection ON public.device USING btree (collection);
CREATE INDEX journal_entry_applied_at ON public.journal_entry USING btree (applied_at);
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.collection FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('collection', 'name');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.device FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('device', 'name', 'uuid', 'uuid');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.device_mac FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('device', 'device', 'mac', 'mac');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.farm FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('farm', 'one');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.removed FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('removed', 'device');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.server FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('server', 'name');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.session FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('session', 'device');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.site FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('site', 'name');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.store FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('store', 'name');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.vdisk FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('vdisk', 'name');
CREATE TRIGGER dirty_insert_delete AFTER INSERT OR DELETE ON public.vdisk_version FOR EACH ROW EXECUTE FUNCTION public.mark_dirty('version', 'vdisk/number');
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.collection FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.device FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.device_mac FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.farm FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.removed FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.server FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.session FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.site FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.store FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.vdisk FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_truncate AFTER TRUNCATE ON public.vdisk_version FOR EACH STATEMENT EXECUTE FUNCTION public.mark_all_dirty();
CREATE TRIGGER dirty_update AFTER UPDATE ON public.collection FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('collection', 'name');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.device FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('device', 'name', 'uuid', 'uuid');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.device_mac FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('device', 'device', 'mac', 'mac');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.farm FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('farm', 'one');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.server FOR EACH ROW WHEN (((((((old.name IS DISTINCT FROM new.name) OR (old.site IS DISTINCT FROM new.site)) OR (old.pool IS DISTINCT FROM new.pool)) OR (old.address IS DISTINCT FROM new.address)) OR (old.ports IS DISTINCT FROM new.ports)) OR (old.power_rating IS DISTINCT FROM new.power_rating))) EXECUTE FUNCTION public.mark_dirty('server', 'name');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.session FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('session', 'device');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.site FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('site', 'name');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.store FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('store', 'name');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.vdisk FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('vdisk', 'name');
CREATE TRIGGER dirty_update AFTER UPDATE ON public.vdisk_version FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.mark_dirty('version', 'vdisk/number');
CREATE TRIGGER removed_delete AFTER DELETE ON public.device REFERENCING OLD TABLE AS devices FOR EACH STATEMENT EXECUTE FUNCTION public.mark_removed();
CREATE TRIGGER removed_insert AFTER INSERT ON public.device REFERENCING NEW TABLE AS devices FOR EACH STATEMENT EXECUTE FUNCTION public.mark_removed();
ALTER TABLE ONLY public.collection
    ADD CONSTRAINT collection_site_fkey FOREIGN KEY (site) REFERENCES public.site(name);
ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_collection_fkey FOREIGN KEY (collection) REFERENCES public.collection(name);
ALTER TABLE ONLY public.device_mac
    ADD CONSTRAINT device_mac_device_fkey FOREIGN KEY (device) REFERENCES public.device(name) ON DELETE CASCADE;
ALTER TABLE ONLY public.vdisk_version
    ADD CONSTRAINT vdisk_version_vdisk_fkey FOREIGN KEY (vdisk) REFERENCES public.vdisk(name) ON DELETE CASCADE;
