/** Whose database this is, which state of it the replica was filled from, and which leader writes it. */
export const sql = `
-- One leader writes. Its epoch is one more than any before it; whoever finds another number here writes nothing.
create table leader (
  one        boolean not null default true constraint leader_pkey primary key constraint leader_one_check check (one),
  epoch      bigint  not null,
  farm_uid   text,  -- of the Farm resource that has this database; absent: none, or it was deleted
  farm_name  text   -- its namespace/name, for people
);
insert into leader (epoch) select epoch from feed_cursor;

alter table feed_cursor
  add column revision    bigint      not null default 0,     -- grows with each step of the feed; META of the replica knows one that was
  add column adoptions   integer     not null default 0,     -- how often a person said that the farm goes on from another state
  add column replaces    text[]      not null default '{}',  -- farm@adoptions of what that person let this database replace
  add column stepped_at  timestamptz not null default now();
`;
