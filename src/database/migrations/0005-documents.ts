/** What is projected from the resources becomes documents: a field more of the farm model is no change of the schema. */
export const sql = `
-- The document is the farm model's entry, as the replica holds it. Columns beside it are its keys, and what SQL joins or checks.
alter table farm add column doc jsonb;
update farm set doc = jsonb_strip_nulls(jsonb_build_object('name', name, 'mode', mode, 'offline', offline, 'autoAdd', auto_add, 'suspend', suspend));
alter table farm alter column doc set not null, drop column name, drop column mode, drop column offline, drop column auto_add, drop column suspend;

alter table site add column doc jsonb;
update site set doc = jsonb_build_object('name', name, 'boot', boot);
alter table site alter column doc set not null, drop column boot;

alter table collection add column doc jsonb;
update collection set doc = jsonb_strip_nulls(
  jsonb_build_object('name', name, 'site', site, 'vdisk', vdisk, 'class', class, 'template', template));
alter table collection alter column doc set not null, drop column vdisk, drop column class, drop column template;

alter table store add column doc jsonb;
update store set doc = jsonb_strip_nulls(
  jsonb_build_object('name', name, 'site', site, 'pools', pools, 'servers', servers, 'local', local));
alter table store alter column doc set not null, drop column site, drop column pools, drop column servers, drop column local;

alter table server_pool add column doc jsonb;
update server_pool set doc = jsonb_build_object('name', name, 'site', site);
alter table server_pool alter column doc set not null, drop column site;

alter table vdisk add column doc jsonb;
update vdisk set doc = jsonb_strip_nulls(jsonb_build_object('name', name, 'store', store, 'fileName', file_name, 'enabled', enabled,
  'loadBalancing', load_balancing, 'overlayMiB', overlay_mib, 'bootVersion', boot_version, 'commandLine', command_line));
alter table vdisk alter column doc set not null, drop column store, drop column file_name, drop column enabled, drop column load_balancing,
  drop column overlay_mib, drop column boot_version, drop column command_line;

-- What is right of a version is no resource's word, so it stays a column.
alter table vdisk_version add column doc jsonb;
update vdisk_version set doc = jsonb_strip_nulls(
  jsonb_build_object('vdisk', vdisk, 'number', number, 'access', access, 'releaseAt', release_at));
alter table vdisk_version alter column doc set not null, drop column access, drop column release_at;
`;
