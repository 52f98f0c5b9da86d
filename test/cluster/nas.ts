/** A NAS: NFS-Ganesha in a network namespace, which can hang, die and come back; and `mount.nfs`, as this kernel has no NFS (`nfs/`). */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, inNode, nasProgram } from './cluster.ts';
import { connect, nasOf } from './network.ts';
import { endProcesses, logPath, runningPid, startProcess } from './processes.ts';
import { runAsync, until } from './run.ts';

const NAME = 'nas';
const READY_MS = 20_000;

export interface Nas {
  /** Of its processes and logs. */
  readonly stateDirectory: string;
  /** The network namespace in which it is reached. */
  readonly namespace: string;
  /** Exported under its own path; what lies there is on this machine's disk. */
  readonly folder: string;
}

const configOf = ({ stateDirectory, folder }: Nas): string => `
NFS_CORE_PARAM { Protocols = 3; Enable_NLM = false; Enable_RQUOTA = false; MNT_Port = 20048; }
NFSV4 { Graceless = true; RecoveryRoot = "${stateDirectory}/nas-recovery"; }
EXPORT {
  Export_Id = 1; Path = "${folder}"; Pseudo = "/vdisks"; Protocols = 3; Transports = TCP;
  Access_Type = RW; Squash = No_Root_Squash; SecType = sys; FSAL { Name = VFS; }
}
LOG { Default_Log_Level = EVENT; }
`;

/** On the LAN of a cluster; `stopCluster` ends it. */
export async function startClusterNas(cluster: Cluster): Promise<Nas & { readonly address: string }> {
  const { stateDirectory } = cluster;
  const nas = { stateDirectory, namespace: nasOf(cluster), folder: join(stateDirectory, 'nas') };
  const address = `${cluster.network}.3`;
  connect(cluster.namespace, cluster.bridge, nas.namespace, [`${address}/24`]);
  await startNas(nas);
  return { ...nas, address };
}

/** A CSI driver of that name on each node, which mounts what `mount -t nfs` mounts; its volumes have the attributes `server` and `share`. */
export const CSI_DRIVER = 'nfs.test.bootfarm.io';

export async function startCsiDriver(cluster: Cluster): Promise<void> {
  const { stateDirectory, nodes } = cluster;
  for (const node of nodes)
    startProcess(stateDirectory, `${node}.csi`, [...inNode(cluster, node), nasProgram('csi'), '--node', node]);
  for (const node of nodes)
    await until(`the CSI driver of ${node}`, READY_MS, () =>
      readFileSync(logPath(stateDirectory, `${node}.csi`), 'utf8').includes('registered'),
    );
}

/** Also after `killNas`. Its `/run` is its own: there its port mapper and it meet. */
export async function startNas(nas: Nas): Promise<void> {
  const { stateDirectory, namespace, folder } = nas;
  for (const path of [folder, join(stateDirectory, 'nas-recovery')]) mkdirSync(path, { recursive: true });
  const config = join(stateDirectory, 'nas.conf');
  writeFileSync(config, configOf(nas));
  const log = logPath(stateDirectory, NAME);
  rmSync(log, { force: true });
  const pid = '/run/ganesha.pid';
  const script = `mount -t tmpfs tmpfs /run; mkdir /run/rpcbind; rpcbind; exec ganesha.nfsd -F -L STDOUT -f '${config}' -p ${pid}`;
  const unshare = ['unshare', '--mount', '--propagation=private', '--pid', '--fork', '--mount-proc', '--kill-child'];
  startProcess(stateDirectory, NAME, ['nsenter', `--net=/run/netns/${namespace}`, ...unshare, 'sh', '-ec', script]);
  await until('the NAS', READY_MS, () => readFileSync(log, 'utf8').includes('NFS SERVER INITIALIZED'));
}

/** It keeps its connections, and answers nothing. */
export const hangNas = (nas: Nas): void => signal(nas, 'SIGSTOP');
export const resumeNas = (nas: Nas): void => signal(nas, 'SIGCONT');

/** Its connections break; what was not on its disk yet is lost. */
export const killNas = ({ stateDirectory }: Nas): Promise<void> => endProcesses(stateDirectory, [NAME], 0);

function signal({ stateDirectory }: Nas, name: NodeJS.Signals): void {
  const pid = runningPid(stateDirectory, NAME);
  if (pid === undefined) throw new Error('the NAS does not run');
  // `unshare --fork` stays outside; its child is the NAS.
  const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  process.kill(Number(child), name);
}

/** Where no node is: `mount.nfs` by itself, whose server is reached from the NAS's own namespace. */
export const mountAlone = (nas: Nas, at: string): Promise<string> =>
  runAsync('nsenter', `--net=/run/netns/${nas.namespace}`, nasProgram('mount.nfs'), `127.0.0.1:${nas.folder}`, at);
