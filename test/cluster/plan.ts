/** What a cluster is made of: names, addresses and configuration texts. Pure; `cluster.ts` makes it so. */

export interface ClusterOptions {
  /** Before the name of each namespace and cgroup; two clusters on one machine need two. At most 4 letters. */
  readonly prefix: string;
  /** First three numbers of the /24 that the nodes, the runner and the machines are in. */
  readonly network: string;
  readonly nodes: readonly string[];
}

export interface Node {
  readonly name: string;
  readonly netns: string;
  readonly address: string;
  /** First three numbers of the /24 of its pods. */
  readonly pods: string;
}

export const DEFAULTS: ClusterOptions = { prefix: 'bf', network: '10.77.0', nodes: ['node-a', 'node-b', 'node-c'] };

export const lanOf = ({ prefix }: ClusterOptions): string => `${prefix}-lan`;
export const runnerOf = ({ network }: ClusterOptions): string => `${network}.1`;
export const SERVICES = '10.96.0.0/16';
/** Its first address is the API server's. */
export const SERVICES_API = '10.96.0.1';
export const PAUSE_IMAGE = 'bootfarm.local/pause:1';

export const nodesOf = ({ prefix, network, nodes }: ClusterOptions): readonly Node[] =>
  nodes.map((name, index) => ({
    name,
    netns: `${prefix}-${name}`,
    address: `${network}.${11 + index}`,
    pods: `10.88.${11 + index}`,
  }));

/**
 * Folders of which each node has its own, because all nodes share this machine's disk: stores, state, and where the kubelet, containerd
 * and CNI plugins leave things. Every other host path is the same folder on all nodes.
 */
export const NODE_FOLDERS = ['/srv', '/var/lib', '/var/log', '/run'] as const;

export const containerdConfig = (folder: string): string => `version = 2
root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
[grpc]
  address = "${folder}/containerd.sock"
[ttrpc]
  address = "${folder}/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`;

export const cniConfig = (node: Node, folder: string): string =>
  JSON.stringify({
    cniVersion: '0.4.0',
    name: 'bootfarm',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: `${folder}/ipam`,
          ranges: [[{ subnet: `${node.pods}.0/24` }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  });

export const kubeletConfig = (node: Node, folder: string, pki: string, dns: string): string =>
  JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${pki}/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${node.netns}`,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: ['pods'],
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: [dns],
    clusterDomain: 'cluster.local',
    containerRuntimeEndpoint: `unix://${folder}/containerd.sock`,
    tlsCertFile: `${pki}/${node.name}.crt`,
    tlsPrivateKeyFile: `${pki}/${node.name}.key`,
    volumePluginDir: `${folder}/volume-plugins`,
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'nodefs.inodesFree': '1%',
    },
    imageGCHighThresholdPercent: 100,
  });

export const proxyConfig = (node: Node, kubeconfig: string): string =>
  JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clusterCIDR: '10.88.0.0/16',
    hostnameOverride: node.name,
    clientConnection: { kubeconfig },
    conntrack: { maxPerCore: 0 },
    metricsBindAddress: '127.0.0.1:10249',
    healthzBindAddress: '127.0.0.1:10256',
  });

export const kubeconfig = (server: string, pki: string, user: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bootfarm', cluster: { server, 'certificate-authority': `${pki}/ca.crt` } }],
    users: [{ name: user, user: { 'client-certificate': `${pki}/${user}.crt`, 'client-key': `${pki}/${user}.key` } }],
    contexts: [{ name: 'bootfarm', context: { cluster: 'bootfarm', user } }],
    'current-context': 'bootfarm',
  });

export const corefile = (address: string, kubeconfigPath: string): string => `cluster.local:53 {
  bind ${address}
  kubernetes cluster.local {
    kubeconfig ${kubeconfigPath} bootfarm
  }
  errors
}
`;
