/** Alerts and dashboard, judged by promtool: each alert fires and clears once, and what they ask for is a metric that a process tells. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { dashboard, expressionsOf } from '../check/dashboard.ts';
import { type Metric, operatorTable, serverTable } from '../check/metrics.ts';
import { binary } from '../cluster/cluster.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-monitoring-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<'summary' | 'description' | 'runbook_url', string>>;
}
const RULES = join(root, 'charts/bootfarm/monitoring/alerts.yaml');
const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: readonly Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

function promtool(...args: string[]): string {
  try {
    return execFileSync('promtool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${stdout}\n${stderr}`);
  }
}

/** Each value holds for two hours of minutes. */
const HELD = 'x120';
const [FIRES, CLEARS] = ['115m', '235m'];
const held = (bad: string, good: string): string => `${bad}${HELD} ${good}${HELD}`;
/** A number that stays. */
const stays = (bad: number, good: number): string => held(`${bad}+0`, `${good}+0`);
/** A counter that grows by so much a minute, and then no more. */
const grows = (perMinute: number): string => `0+${perMinute}${HELD} ${perMinute * 120}+0${HELD}`;
const EVER = '+0x241';

interface Case {
  readonly series: Readonly<Record<string, string>>;
  /** Of the alert, beside its severity. */
  readonly labels: Readonly<Record<string, string>>;
}
const at = { namespace: 'lab', server: 'node-a' };
const AT = 'namespace="lab",server="node-a"';
const FARM = 'namespace="lab",name="farm"';
const site = { namespace: 'lab', farm: 'farm', site: 'default' };
const fault = (code: string, more: Record<string, string> = {}): Case => ({
  series: { [`bootfarm_server_faults{${AT},code="${code}"}`]: stays(1, 0) },
  labels: { ...at, ...more },
});
const ofFarm = (type: string, kind = 'Farm'): Case => ({
  series: { [`bootfarm_resource_condition{kind="${kind}",${FARM},type="${type}"}`]: stays(0, 1) },
  labels: { namespace: 'lab', name: 'farm' },
});
const slow = (name: string): Case => ({
  series: {
    [`${name}_bucket{${AT},le="0.001"}`]: `0+0${HELD} 0+60${HELD}`,
    [`${name}_bucket{${AT},le="3"}`]: `0+60${HELD} 7260+60${HELD}`,
    [`${name}_bucket{${AT},le="+Inf"}`]: `0+60${HELD} 7260+60${HELD}`,
  },
  labels: at,
});

const CASES: Readonly<Record<string, Case>> = {
  NoServer: {
    series: { 'bootfarm_site_servers{namespace="lab",farm="farm",site="default"}': stays(0, 1) },
    labels: site,
  },
  NotRedundant: {
    series: {
      'bootfarm_site_servers{namespace="lab",farm="farm",site="default"}': stays(1, 2),
      [`bootfarm_farm_servers{${FARM},state="total"}`]: `2${EVER}`,
    },
    labels: site,
  },
  ServerLost: {
    series: { 'bootfarm_server_state{namespace="lab",pool="main",server="node-a",state="Unreachable"}': stays(1, 0) },
    labels: { ...at, pool: 'main' },
  },
  FailoverShort: {
    series: {
      ...ofFarm('FailoverCapacity', 'StreamingServer').series,
      [`bootfarm_pool_servers{${FARM},state="Streaming"}`]: `1${EVER}`,
      [`bootfarm_pool_servers{${FARM},state="Unreachable"}`]: `1${EVER}`,
      // A pool of one, of which nothing is told.
      'bootfarm_resource_condition{kind="StreamingServer",namespace="lab",name="one",type="FailoverCapacity"}': `0${EVER}`,
      'bootfarm_pool_servers{namespace="lab",name="one",state="Streaming"}': `1${EVER}`,
    },
    labels: { namespace: 'lab', name: 'farm' },
  },
  FailoverSlow: {
    series: {
      // Half of them leave each minute anew, until the server is back.
      [`bootfarm_farm_devices{${FARM},state="streaming"}`]: `100-0.8x120 4+0${HELD}`,
      'bootfarm_server_state{namespace="lab",pool="main",server="node-a",state="Unreachable"}': stays(1, 0),
    },
    labels: { namespace: 'lab', name: 'farm' },
  },
  TooFewCopies: {
    series: {
      'bootfarm_vdisk_boot_copies{namespace="lab",name="lab",state="right"}': stays(1, 2),
      'bootfarm_vdisk_boot_copies{namespace="lab",name="lab",state="least"}': `2${EVER}`,
    },
    labels: { namespace: 'lab', name: 'lab' },
  },
  CopyNotRight: {
    series: {
      [`bootfarm_copy_state{${AT},vdisk="lab",version="3",state="Missing"}`]: '1+0x60 _x180',
      [`bootfarm_copy_state{${AT},vdisk="lab",version="3",state="Copying"}`]: '_x61 1+0x60 _x120',
    },
    labels: { ...at, vdisk: 'lab', version: '3' },
  },
  BadCopy: fault('BadCopy'),
  ReplicationStalled: {
    series: {
      [`bootfarm_copy_files{${AT},state="Waiting"}`]: stays(2, 0),
      [`bootfarm_copy_bytes_copied_total{${AT}}`]: `5${EVER}`,
    },
    labels: at,
  },
  DiskFilling: {
    series: {
      [`bootfarm_store_free_bytes{${AT},store="images"}`]: `300-0.5x120 600+0${HELD}`,
      [`bootfarm_store_size_bytes{${AT},store="images"}`]: `1000${EVER}`,
    },
    labels: { ...at, store: 'images' },
  },
  DiskFull: {
    series: {
      [`bootfarm_store_free_bytes{${AT},store="images"}`]: stays(40, 500),
      [`bootfarm_store_size_bytes{${AT},store="images"}`]: `1000${EVER}`,
    },
    labels: { ...at, store: 'images' },
  },
  StoreAway: {
    series: { [`bootfarm_store_state{${AT},store="images",state="Unreachable"}`]: stays(1, 0) },
    labels: { ...at, store: 'images' },
  },
  DatabaseAway: ofFarm('DatabaseReachable'),
  DatabaseAwayLong: {
    series: { [`bootfarm_server_database_away_seconds{${AT},farm="farm"}`]: stays(30_000, 0) },
    labels: { namespace: 'lab', farm: 'farm' },
  },
  ReplicaBehind: ofFarm('ReplicaInSync'),
  FollowerBehind: {
    series: {
      [`bootfarm_server_replica_age_seconds{${AT}}`]: stays(400, 1),
      [`bootfarm_server_database_reachable{${AT}}`]: `1${EVER}`,
    },
    labels: at,
  },
  JournalGrowing: { series: { [`bootfarm_server_journal_entries{${AT}}`]: stays(60_000, 0) }, labels: at },
  JournalFaulty: fault('JournalFull'),
  CertificateEnding: {
    series: {
      [`bootfarm_certificate_expiry_timestamp_seconds{${AT},certificate="server"}`]: stays(86_400, 90 * 86_400),
    },
    labels: { ...at, certificate: 'server' },
  },
  KeysChangeStuck: {
    series: { [`bootfarm_farm_keys_change{${FARM},what="ca"}`]: stays(1, 0) },
    labels: { namespace: 'lab', name: 'farm', what: 'ca' },
  },
  UnknownMachines: {
    series: { [`bootfarm_boot_decisions_total{${AT},farm="farm",decision="unknown"}`]: grows(1) },
    labels: { namespace: 'lab', farm: 'farm' },
  },
  BootsRefused: {
    series: { [`bootfarm_boot_decisions_total{${AT},farm="farm",decision="NoVersion"}`]: grows(2) },
    labels: { namespace: 'lab', farm: 'farm', decision: 'NoVersion' },
  },
  LoginsRefused: {
    series: { [`bootfarm_login_answers_total{${AT},answer="NoCopy"}`]: grows(2) },
    labels: { ...at, answer: 'NoCopy' },
  },
  ReadsSlow: slow('bootfarm_stream_disk_read_seconds'),
  LoginsSlow: slow('bootfarm_login_seconds'),
  NotLeading: { series: { 'leader_election_master_status{name="bootfarm-operator"}': stays(0, 1) }, labels: {} },
  ReconcileErrors: {
    series: { 'controller_runtime_reconcile_errors_total{controller="vdisk"}': grows(1) },
    labels: { controller: 'vdisk' },
  },
  ResourceStalled: {
    series: { [`bootfarm_resource_condition{kind="Farm",${FARM},type="Stalled"}`]: stays(1, 0) },
    labels: { kind: 'Farm', namespace: 'lab', name: 'farm' },
  },
  ServerFaulty: fault('PortTaken', { code: 'PortTaken' }),
  KeeperDead: { series: { [`bootfarm_work_keeper_running{${AT}}`]: stays(0, 1) }, labels: at },
  ClockSkew: fault('ClockSkew'),
  ReceiveBuffer: fault('BufferTooSmall'),
};

const written = (text: string, labels: Readonly<Record<string, string>>): string =>
  text.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '');

function ruleTest(name: string, { series, labels }: Case): object {
  const rule = rules.find(({ alert }) => alert === `Bootfarm${name}`);
  if (!rule) throw new Error(`no alert Bootfarm${name}`);
  const annotations = Object.entries(rule.annotations).map(([key, text]) => [key, written(text, labels)]);
  const fires = { exp_labels: { ...labels, ...rule.labels }, exp_annotations: Object.fromEntries(annotations) };
  const ask = (eval_time: string, exp_alerts: readonly object[]) => ({ eval_time, alertname: rule.alert, exp_alerts });
  return {
    interval: '1m',
    input_series: Object.entries(series).map(([series, values]) => ({ series, values })),
    alert_rule_test: [ask(FIRES, [fires]), ask(CLEARS, [])],
  };
}

describe('the alerts', () => {
  test('each has a case, a severity, a page, and no case is of none', () => {
    expect(rules.map(({ alert }) => alert).sort()).toEqual(
      Object.keys(CASES)
        .map((name) => `Bootfarm${name}`)
        .sort(),
    );
    const pages = readdirSync(join(root, 'docs/runbooks')).filter((name) => name !== 'README.md');
    expect(rules.map(({ annotations }) => annotations.runbook_url).sort()).toEqual(pages.sort());
    for (const { labels } of rules) expect(['critical', 'warning']).toContain(labels['severity']);
  });

  test('each fires, and clears', () => {
    const file = join(folder, 'alerts.test.yaml');
    const tests = Object.entries(CASES).map(([name, one]) => ruleTest(name, one));
    writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: '5m', tests }));
    expect(promtool('test', 'rules', file)).toContain('SUCCESS');
  });
});

/** Names of metrics that an expression asks for: what stands before a selector or a range, or alone. */
const namesIn = (expr: string): readonly string[] => [
  ...new Set(expr.match(/\b(bootfarm|controller_runtime|workqueue|leader_election|rest_client)_\w+\b/g)),
];
/** Matchers of labels. */
const labelsIn = (expr: string): readonly string[] =>
  [...expr.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label);
/** What PodMonitors add. */
const TARGET_LABELS = ['namespace', 'server', 'pool', 'farm', 'pod'];

describe('what they ask for', () => {
  let table: readonly Metric[];
  beforeAll(async () => {
    table = [...(await serverTable()), ...(await operatorTable())];
  });
  const metricOf = (name: string): Metric | undefined =>
    table.find((metric) => [metric.name, `${metric.name}_bucket`].includes(name));

  test.each([
    ...rules.map(({ alert, expr }) => [alert, expr] as const),
    ...expressionsOf().map((expr, index) => [`panel ${index + 1}`, expr] as const),
  ])('%s is told by a process', (_, expr) => {
    const names = namesIn(expr).filter((name) => name !== 'bootfarm_');
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !metricOf(name) && name !== 'bootfarm-operator')).toEqual([]);
    const labels = names.flatMap((name) => Object.keys(metricOf(name)?.labels ?? {}));
    expect(labelsIn(expr).filter((label) => ![...labels, ...TARGET_LABELS].includes(label))).toEqual([]);
  });
});

describe('the dashboard', () => {
  test('each expression is PromQL', () => {
    const file = join(folder, 'panels.yaml');
    const record = expressionsOf().map((expr, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(namespace|server)/g, '.*'),
    }));
    writeFileSync(file, stringify({ groups: [{ name: 'panels', rules: record }] }));
    expect(promtool('check', 'rules', file)).toContain(`${record.length} rules found`);
  });

  test.each([
    ['as it is', (text: string) => text, undefined],
    [
      'with a panel of no kind',
      (text: string) => text.replace('"type":"stat"', '"type":"stot"'),
      'unknown type "stot"',
    ],
    ['with a field of no query', (text: string) => text.replace('legendFormat', 'legendFormatt'), "'legendFormatt'"],
    ['without annotations', (text: string) => text.replace('"annotations"', '"annotation"'), 'required field'],
  ])('%s, is loaded by what Grafana has of its own files, or refused', (_, edit, refused) => {
    const input = edit(JSON.stringify(dashboard()));
    const load = () => execFileSync(join(root, '.build/grafana'), { input, encoding: 'utf8', stdio: 'pipe' });
    if (refused) expect(load).toThrow(refused);
    else expect(Number(load())).toBe(dashboard().panels.filter((panel) => 'targets' in panel).length);
  });

  test('has what Grafana reads: panels that do not overlap, each with its own id, lines and source', () => {
    const { panels, templating } = dashboard() as unknown as {
      panels: { id: number; type: string; gridPos: Record<'x' | 'y' | 'w' | 'h', number>; targets?: object[] }[];
      templating: { list: { name: string }[] };
    };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'namespace', 'server']);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
    for (const { type, targets } of panels)
      expect(type === 'row' ? targets === undefined : (targets?.length ?? 0) > 0).toBe(true);
  });
});

describe('the chart', () => {
  const template = (...args: string[]): string =>
    execFileSync(
      binary('helm'),
      ['template', 'farmer', join(root, 'charts/bootfarm'), '--namespace=ops', '--set=farmNamespaces={lab}', ...args],
      { encoding: 'utf8', stdio: 'pipe' },
    );
  const ON = ['monitors', 'rules', 'dashboard'].map((part) => `--set=monitoring.${part}.enabled=true`);
  const objectsOf = (text: string): readonly Record<string, unknown>[] =>
    parseAllDocuments(text).flatMap((document) => document.toJS() ?? []);
  const API = '--api-versions=monitoring.coreos.com/v1';

  test('has nothing of it by default, and says what lacks where the API is not served', () => {
    expect(template()).not.toContain('monitoring.coreos.com');
    expect(() => template(...ON)).toThrow(/need the Prometheus Operator/);
  });

  test('has the same alerts, with links, labels and a namespace of yours', () => {
    const made = objectsOf(
      template(
        ...ON,
        API,
        '--show-only=templates/monitoring.yaml',
        '--set=monitoring.namespace=watch',
        '--set=monitoring.labels.release=kube',
        '--set=monitoring.rules.runbooks=https://wiki.example/farm',
      ),
    ) as unknown as {
      kind: string;
      metadata: { namespace: string; labels: Record<string, string> };
      spec: { groups: { rules: Rule[] }[] };
    }[];
    expect(made.map(({ kind }) => kind)).toEqual(['ConfigMap', 'PodMonitor', 'PodMonitor', 'PrometheusRule']);
    for (const { metadata } of made) expect(metadata.namespace).toBe('watch');
    expect(made[3]?.metadata.labels['release']).toBe('kube');
    expect(made[0]?.metadata.labels['grafana_dashboard']).toBe('1');
    const told = made[3]?.spec.groups[0]?.rules ?? [];
    expect(told.map(({ expr }) => expr)).toEqual(rules.map(({ expr }) => expr));
    expect(told[0]?.annotations.runbook_url).toBe('https://wiki.example/farm/NoServer.md');
  });

  test('deploy/monitoring is the same, as a component', () => {
    writeFileSync(
      join(folder, 'kustomization.yaml'),
      stringify({ components: [relative(folder, join(root, 'deploy/monitoring'))] }),
    );
    const text = execFileSync(binary('kubectl'), ['kustomize', '--load-restrictor=LoadRestrictionsNone', folder], {
      encoding: 'utf8',
    });
    expect(
      objectsOf(text)
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['ConfigMap', 'PodMonitor', 'PodMonitor', 'PrometheusRule']);
    expect(existsSync(join(root, 'deploy/monitoring/kustomization.yaml'))).toBe(true);
  });
});
