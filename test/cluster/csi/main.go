// The smallest CSI driver that a kubelet takes: a share of a NAS, mounted on this node by mount(8). Its attributes are those of csi-driver-nfs: server and share.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const (
	name    = "nfs.test.bootfarm.io"
	version = "1"
	kubelet = "/var/lib/kubelet"
)

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	registration.UnimplementedRegistrationServer
	node     string
	endpoint string
}

func (d *driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: name, VendorVersion: version}, nil
}

func (d *driver) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}

func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (d *driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

func (d *driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (d *driver) NodePublishVolume(_ context.Context, asked *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	at, server, share := asked.GetTargetPath(), asked.GetVolumeContext()["server"], asked.GetVolumeContext()["share"]
	if at == "" || server == "" || share == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume has a target path and the attributes server and share")
	}
	if isMounted(at) {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	if err := os.MkdirAll(at, 0o750); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	options := asked.GetVolumeCapability().GetMount().GetMountFlags()
	if asked.GetReadonly() {
		options = append(options, "ro")
	}
	arguments := []string{"-t", "nfs", server + ":" + share, at}
	if len(options) > 0 {
		arguments = append(arguments, "-o", strings.Join(options, ","))
	}
	if said, err := exec.Command("mount", arguments...).CombinedOutput(); err != nil {
		return nil, status.Errorf(codes.Internal, "%s: %s", err, said)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d *driver) NodeUnpublishVolume(_ context.Context, asked *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	at := asked.GetTargetPath()
	if isMounted(at) {
		if said, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			return nil, status.Errorf(codes.Internal, "%s: %s", err, said)
		}
	}
	if err := os.Remove(at); err != nil && !os.IsNotExist(err) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// As the kernel lists it: what is mounted there may not answer.
func isMounted(at string) bool {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	return err == nil && strings.Contains(string(mounts), " "+at+" ")
}

// The kubelet finds the driver by a socket in a folder that it watches.
func (d *driver) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{Type: registration.CSIPlugin, Name: name, Endpoint: d.endpoint, SupportedVersions: []string{"1.0.0"}}, nil
}

func (d *driver) NotifyRegistrationStatus(_ context.Context, told *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !told.PluginRegistered {
		log.Fatalf("the kubelet did not take the driver: %s", told.Error)
	}
	log.Print("registered")
	return &registration.RegistrationStatusResponse{}, nil
}

func serve(socket string, register func(*grpc.Server)) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		log.Fatal(err)
	}
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	log.Fatal(server.Serve(listener))
}

func main() {
	node := flag.String("node", "", "name of this node")
	flag.Parse()
	d := &driver{node: *node, endpoint: filepath.Join(kubelet, "plugins", name, "csi.sock")}
	go serve(d.endpoint, func(server *grpc.Server) {
		csi.RegisterIdentityServer(server, d)
		csi.RegisterNodeServer(server, d)
	})
	serve(filepath.Join(kubelet, "plugins_registry", name+"-reg.sock"), func(server *grpc.Server) {
		registration.RegisterRegistrationServer(server, d)
	})
}
