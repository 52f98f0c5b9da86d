/** `charts/bootfarm/monitoring/dashboard.json`: a dashboard of Grafana (schema 39), built from rows of panels. */

interface Panel {
  readonly title: string;
  /** Expression and how each of its lines is called, `{{label}}` in it. */
  readonly lines: readonly (readonly [expr: string, legend: string])[];
  readonly unit?: 'short' | 'bytes' | 's' | 'percent' | 'Bps' | 'reqps' | 'pps' | 'dtdurations';
  /** A number instead of lines over time: red from `red` on, or below it. */
  readonly stat?: { readonly red: number; readonly below?: true };
}

const FARM = 'namespace=~"$namespace"';
const SERVER = 'namespace=~"$namespace", server=~"$server"';
const byServer = (expr: string): string => `sum by (server) (${expr})`;
const p99 = (metric: string): string =>
  `histogram_quantile(0.99, sum by (server, le) (rate(${metric}_bucket{${SERVER}}[$__rate_interval])))`;
const condition = (type: string): string =>
  `min by (namespace, name) (bootfarm_resource_condition{${FARM}, kind="Farm", type="${type}"})`;

const ROWS: Readonly<Record<string, readonly Panel[]>> = {
  Farm: [
    {
      title: 'Servers ready at each site',
      lines: [[`max by (farm, site) (bootfarm_site_servers{${FARM}})`, '{{farm}} {{site}}']],
      stat: { red: 1, below: true },
    },
    { title: 'Database answers', lines: [[condition('DatabaseReachable'), '{{name}}']], stat: { red: 1, below: true } },
    { title: 'Replica in sync', lines: [[condition('ReplicaInSync'), '{{name}}']], stat: { red: 1, below: true } },
    {
      title: 'Resources that are not Ready',
      lines: [[`sum by (kind) (1 - max by (kind, namespace, name) (bootfarm_resource_ready{${FARM}}))`, '{{kind}}']],
      stat: { red: 1 },
    },
    {
      title: 'Devices',
      lines: [[`max by (name, state) (bootfarm_farm_devices{${FARM}})`, '{{name}} {{state}}']],
    },
    {
      title: 'Servers that do not stream',
      lines: [[`max by (server, state) (bootfarm_server_state{${FARM}})`, '{{server}} {{state}}']],
    },
  ],
  Copies: [
    {
      title: 'Copies of the boot version',
      lines: [[`max by (name, state) (bootfarm_vdisk_boot_copies{${FARM}})`, '{{name}} {{state}}']],
    },
    {
      title: 'Copies that are not right',
      lines: [[`max by (name, state) (bootfarm_vdisk_copies{${FARM}, state!="UpToDate"})`, '{{name}} {{state}}']],
    },
    {
      title: 'Copied from other servers',
      lines: [[byServer(`rate(bootfarm_copy_bytes_copied_total{${SERVER}}[$__rate_interval])`), '{{server}}']],
      unit: 'Bps',
    },
    {
      title: 'Time until all files are here',
      lines: [[`max by (server) (bootfarm_copy_seconds_left{${SERVER}})`, '{{server}}']],
      unit: 'dtdurations',
    },
    {
      title: 'Free space of stores',
      lines: [[`min by (server, store) (bootfarm_store_free_bytes{${SERVER}})`, '{{server}} {{store}}']],
      unit: 'bytes',
    },
  ],
  Stream: [
    { title: 'Devices by server', lines: [[byServer(`bootfarm_server_devices{${SERVER}}`), '{{server}}']] },
    {
      title: 'Load',
      lines: [[`max by (server) (bootfarm_server_load_percent{${SERVER}})`, '{{server}}']],
      unit: 'percent',
    },
    {
      title: 'Read by devices',
      lines: [[byServer(`rate(bootfarm_stream_read_bytes_total{${SERVER}}[$__rate_interval])`), '{{server}}']],
      unit: 'Bps',
    },
    {
      title: 'READs',
      lines: [[byServer(`rate(bootfarm_stream_reads_total{${SERVER}}[$__rate_interval])`), '{{server}}']],
      unit: 'reqps',
    },
    {
      title: 'READs that wait for a disk, 99 of 100 within',
      lines: [[p99('bootfarm_stream_disk_read_seconds'), '{{server}}']],
      unit: 's',
    },
    {
      title: 'Packets dropped',
      lines: [
        [`sum by (reason) (rate(bootfarm_stream_dropped_total{${SERVER}}[$__rate_interval]))`, '{{reason}}'],
        [`sum(rate(bootfarm_stream_receive_buffer_drops_total{${SERVER}}[$__rate_interval]))`, 'no room'],
      ],
      unit: 'pps',
    },
  ],
  Boots: [
    {
      title: 'What machines that ask to boot are told',
      lines: [[`sum by (decision) (rate(bootfarm_boot_decisions_total{${SERVER}}[$__rate_interval]))`, '{{decision}}']],
      unit: 'reqps',
    },
    {
      title: 'Logins by answer',
      lines: [[`sum by (answer) (rate(bootfarm_login_answers_total{${SERVER}}[$__rate_interval]))`, '{{answer}}']],
      unit: 'reqps',
    },
    { title: 'Logins, 99 of 100 within', lines: [[p99('bootfarm_login_seconds'), '{{server}}']], unit: 's' },
  ],
  'What a server stands on': [
    {
      title: 'Faults',
      lines: [[`sum by (server, code) (bootfarm_server_faults{${SERVER}}) > 0`, '{{server}} {{code}}']],
    },
    {
      title: 'Journal',
      lines: [[`max by (server) (bootfarm_server_journal_entries{${SERVER}})`, '{{server}}']],
    },
    {
      title: 'Age of the replica',
      lines: [[`max by (server) (bootfarm_server_replica_age_seconds{${SERVER}})`, '{{server}}']],
      unit: 's',
    },
    {
      title: 'Certificates end in',
      lines: [
        [
          `min by (server, certificate) (bootfarm_certificate_expiry_timestamp_seconds{${SERVER}}) - time()`,
          '{{server}} {{certificate}}',
        ],
      ],
      unit: 'dtdurations',
    },
  ],
  Operator: [
    {
      title: 'Operators that lead',
      lines: [['sum(leader_election_master_status{name="bootfarm-operator"})', 'leading']],
      stat: { red: 1, below: true },
    },
    {
      title: 'Reconciles that failed',
      lines: [
        ['sum by (controller) (rate(controller_runtime_reconcile_errors_total[$__rate_interval]))', '{{controller}}'],
      ],
      unit: 'reqps',
    },
    {
      title: 'Reconciles, 99 of 100 within',
      lines: [
        [
          'histogram_quantile(0.99, sum by (controller, le) (rate(controller_runtime_reconcile_time_seconds_bucket[$__rate_interval])))',
          '{{controller}}',
        ],
      ],
      unit: 's',
    },
  ],
};

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const [WIDE, LINES, STAT] = [24, 8, 6];

const thresholds = ({ red, below }: NonNullable<Panel['stat']>) => ({
  mode: 'absolute',
  steps: [
    { color: below ? 'red' : 'green', value: null },
    { color: below ? 'green' : 'red', value: red },
  ],
});

function panelOf({ title, lines, unit = 'short', stat }: Panel, id: number, x: number, y: number): object {
  const targets = lines.map(([expr, legendFormat], at) => ({
    ...{ datasource: DATASOURCE, refId: String.fromCharCode(65 + at), expr, legendFormat },
  }));
  const defaults = stat ? { unit, thresholds: thresholds(stat) } : { unit, min: 0 };
  return {
    ...{ id, title, type: stat ? 'stat' : 'timeseries', datasource: DATASOURCE },
    gridPos: { x, y, w: stat ? STAT : LINES, h: 8 },
    fieldConfig: { defaults, overrides: [] },
    targets,
  };
}

/** From left to right, a new line where one is full. */
function panelsOf(): readonly object[] {
  let [id, y] = [0, 0];
  return Object.entries(ROWS).flatMap(([title, panels]) => {
    const row = { id: ++id, type: 'row', title, collapsed: false, gridPos: { x: 0, y, w: WIDE, h: 1 }, panels: [] };
    y++;
    let x = 0;
    const made = panels.map((panel) => {
      const width = panel.stat ? STAT : LINES;
      if (x + width > WIDE) [x, y] = [0, y + 8];
      x += width;
      return panelOf(panel, ++id, x - width, y);
    });
    y += 8;
    return [row, ...made];
  });
}

const variable = (name: string, metric: string) => ({
  ...{ name, type: 'query', datasource: DATASOURCE, refresh: 2, includeAll: true, multi: true, allValue: '.*' },
  query: { query: `label_values(${metric}, ${name})`, refId: name },
  current: { text: ['All'], value: ['$__all'] },
});

export const dashboard = () => ({
  ...{ uid: 'bootfarm', title: 'bootfarm', tags: ['bootfarm'], schemaVersion: 39, version: 1, editable: true },
  time: { from: 'now-6h', to: 'now' },
  refresh: '30s',
  annotations: { list: [] },
  templating: {
    list: [
      { name: 'datasource', type: 'datasource', query: 'prometheus', current: { text: 'default', value: 'default' } },
      variable('namespace', 'bootfarm_resource_ready'),
      variable('server', 'bootfarm_server_devices'),
    ],
  },
  panels: panelsOf(),
});

export const expressionsOf = (): readonly string[] =>
  Object.values(ROWS).flatMap((panels) => panels.flatMap(({ lines }) => lines.map(([expr]) => expr)));
