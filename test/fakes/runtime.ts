/** What runs for a farm, without a database, a replica or servers: a test says what each of them answers, and reads what was asked of it. */
import type { DatabaseState } from '../../src/database/connection.ts';
import { type FoundDatabase, type Lead, readIdentity } from '../../src/database/identity.ts';
import type { Projected } from '../../src/database/project.ts';
import { type ServerAccess, serverRole, withUser } from '../../src/database/roles.ts';
import { parseDatabaseUri } from '../../src/database/uri.ts';
import type { Identity } from '../../src/farm/identity.ts';
import { type Fault, ok, type Result } from '../../src/kit/result.ts';
import type { Infrastructure } from '../../src/operator/infrastructure.ts';
import type { ServerView, WantedServer } from '../../src/operator/poller.ts';
import { Recent } from '../../src/operator/recent.ts';
import type { FarmRows } from '../../src/operator/rows.ts';
import type { FarmRuntimes } from '../../src/operator/runtimes.ts';
import type { Uses } from '../../src/operator/uses.ts';
import type { Meta } from '../../src/replica/layout.ts';
import type { ReplicaHealth } from '../../src/replica/projector.ts';

/** Faults are answers like any other. */
interface Answers {
  state: DatabaseState;
  /** Whose the database is. */
  found: Result<FoundDatabase, Fault>;
  meta: Meta | 'Unread' | undefined;
  held: readonly Identity[] | 'Asking';
  led: Result<number, Fault>;
  migrated: Fault | undefined;
  /** Absent: a role that the owner made for servers. */
  access: Result<ServerAccess, Fault> | undefined;
  /** What comes of whatever is written. */
  written: Result<Projected, Fault>;
  rows: FarmRows | undefined;
  uses: Uses | undefined;
  replica: ReplicaHealth | undefined;
  /** As each server that is wanted answers; absent: it does not. */
  servers: ReadonlyMap<string, ServerView['status']>;
  asked: boolean;
  lacking: readonly string[];
  devices: number | undefined;
  excess: string | undefined;
}

/** A farm that runs: empty before, of id `a` from then on, led, with no server. */
const someAnswers = (more: Partial<Answers> = {}): Answers => ({
  state: { reachable: true, since: 0 },
  found: ok({ adoptions: 0, revision: 0, replaces: [], hasDevices: false, led: true, keys: '' }),
  meta: undefined,
  held: [],
  led: ok(7),
  migrated: undefined,
  access: undefined,
  written: ok({ farmId: 'a', adoptions: 0, orphaned: [] }),
  rows: undefined,
  uses: undefined,
  replica: undefined,
  servers: new Map(),
  asked: true,
  lacking: [],
  devices: 0,
  excess: undefined,
  ...more,
});

class FakeRuntime {
  readonly checked = new Recent(30_000);
  readonly inputs: Infrastructure;
  refused = false;
  readonly #answers: Answers;
  readonly #done: string[];
  #wanted: readonly WantedServer[] = [];

  constructor(inputs: Infrastructure, answers: Answers, done: string[]) {
    this.inputs = inputs;
    this.#answers = answers;
    this.#done = done;
  }

  #database(run: (work: unknown) => Result<unknown, Fault>) {
    const answers = () => this.#answers;
    return {
      run: async (work: unknown) => run(work),
      get state() {
        return answers().state;
      },
    };
  }
  readonly database = this.#database((work) => (work === readIdentity ? this.#answers.found : ok(undefined)));
  readonly writes = this.#database(() => {
    this.#done.push('write');
    return this.#answers.written;
  });

  lead = async ({ floor, takeOver }: Lead) => {
    this.#done.push(`lead above ${floor}${takeOver ? `, taken over from ${takeOver.from}` : ''}`);
    return this.#answers.led;
  };
  migrate = async () => {
    this.#done.push('migrate');
    return this.#answers.migrated;
  };
  begin = () => void this.#done.push('begin');
  accept = () => {
    this.refused = false;
  };
  refuse = ({ code }: Fault) => {
    this.refused = true;
    this.#done.push(`refuse ${code}`);
  };
  project = (farm: string, epoch: number) => void this.#done.push(`project ${farm} as ${epoch}`);
  want = (servers: readonly WantedServer[]) => {
    this.#wanted = servers;
    this.#done.push(`want ${servers.map(({ name }) => name).join(' ')}`.trim());
  };
  tookUp = (pool: string, nodes: readonly string[]) =>
    void this.#done.push(`${pool} took up ${nodes.join(' ')}`.trim());
  countDevices = async () => {
    this.#done.push('count');
    return this.#answers.devices;
  };
  meta = async () => this.#answers.meta;
  held = () => this.#answers.held;
  serverAccess = async () => {
    const { database, serverLogins } = this.inputs;
    const { turn, password } = serverLogins.current;
    return this.#answers.access ?? ok({ uri: withUser(database.uri, serverRole('farm', turn), password) });
  };
  lacking = async () => this.#answers.lacking;
  rows = async () => this.#answers.rows;
  uses = async () => this.#answers.uses;

  get asked(): boolean {
    return this.#answers.asked;
  }
  get replica(): ReplicaHealth | undefined {
    return this.#answers.replica;
  }
  get excess(): string | undefined {
    return this.#answers.excess;
  }
  get servers(): readonly ServerView[] {
    return this.#wanted.map((server) => {
      const status = this.#answers.servers.get(server.name);
      return status
        ? { ...server, status, reachable: true, message: '' }
        : { ...server, reachable: false, message: 'no answer' };
    });
  }
}

/** By the farm's key; a runtime is made anew when what it is made from changes. All give the same answers, which a test may change. */
export class FakeRuntimes {
  readonly answers: Answers;
  /** What was done with them, in order: `lead above 0`, `migrate`, `want node-a`. */
  readonly done: string[] = [];
  readonly #byKey = new Map<string, FakeRuntime>();

  constructor(answers: Partial<Answers> = {}) {
    this.answers = someAnswers(answers);
  }

  get runtimes(): FarmRuntimes {
    return this as unknown as FarmRuntimes;
  }

  get(key: string): FakeRuntime | undefined {
    return this.#byKey.get(key);
  }

  async of(key: string, uid: string): Promise<FakeRuntime | undefined> {
    const known = this.#byKey.get(key);
    if (known && known.inputs.farmUid !== uid) await this.end(key);
    return this.#byKey.get(key);
  }

  async ensure(key: string, inputs: Infrastructure): Promise<FakeRuntime | Fault> {
    const known = this.#byKey.get(key);
    if (known && JSON.stringify(known.inputs) === JSON.stringify(inputs)) return known;
    const place = parseDatabaseUri(inputs.database.uri);
    if (!place.ok) return place.error;
    this.done.push(known ? 'made anew' : 'made');
    const made = new FakeRuntime(inputs, this.answers, this.done);
    this.#byKey.set(key, made);
    return made;
  }

  async end(key: string): Promise<void> {
    if (this.#byKey.delete(key)) this.done.push('ended');
  }
}
