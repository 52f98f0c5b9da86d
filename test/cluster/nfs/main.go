// mount.nfs for kernels without NFS: NFS version 3 by FUSE, hard, as nfs(5) has it. `mount -t nfs SERVER:/PATH FOLDER` runs it.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	// Of mount(8).
	exitFailed = 32
	// nfs(5): the minutes after which a mount in the foreground gives up.
	retryMinutes = 2
	// nfs(5): how long attributes of a file are believed at least.
	cacheSeconds = 3
	// The kernel has as many requests under way as Linux's client has slots.
	maxUnderWay = 64
	servesAs    = "BOOTFARM_NFS_SERVE"
)

type options struct {
	port, mountPort, retryMinutes, cacheSeconds int
	flags                                       uintptr
}

func parseOptions(text string) (options, error) {
	o := options{port: nfsPort, retryMinutes: retryMinutes, cacheSeconds: cacheSeconds, flags: syscall.MS_NOSUID | syscall.MS_NODEV}
	numbers := map[string]*int{"port": &o.port, "mountport": &o.mountPort, "retry": &o.retryMinutes, "actimeo": &o.cacheSeconds}
	for _, option := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(option, "=")
		if number := numbers[name]; number != nil {
			parsed, err := strconv.Atoi(value)
			if err != nil {
				return o, fmt.Errorf("option %s: %q is no number", name, value)
			}
			*number = parsed
			continue
		}
		switch option {
		case "", "rw", "hard", "nolock", "proto=tcp", "tcp", "nfsvers=3", "vers=3", "defaults":
		case "ro":
			o.flags |= syscall.MS_RDONLY
		case "noac":
			o.cacheSeconds = 0
		default:
			return o, fmt.Errorf("option %s is none of this client: it has NFS version 3 over TCP, hard, with locks of this node alone", option)
		}
	}
	return o, nil
}

func main() {
	log, isServing := os.NewFile(3, "parent"), os.Getenv(servesAs) != ""
	source, folder, text, err := parseArguments(os.Args[1:])
	switch {
	case err != nil:
	case isServing:
		err = serve(source, folder, text, log)
	default:
		err = startServing()
	}
	if err != nil {
		if isServing {
			fmt.Fprint(log, err)
		} else {
			fmt.Fprintf(os.Stderr, "mount.nfs: %s\n", err)
		}
		os.Exit(exitFailed)
	}
}

func parseArguments(arguments []string) (source, folder, text string, err error) {
	var places []string
	for at := 0; at < len(arguments); at++ {
		switch argument := arguments[at]; {
		case argument == "-o" && at+1 < len(arguments):
			at++
			text += "," + arguments[at]
		case strings.HasPrefix(argument, "-"): // of mount(8): to say more, to write no mtab
		default:
			places = append(places, argument)
		}
	}
	if len(places) != 2 {
		return "", "", "", errors.New("usage: mount.nfs SERVER:/PATH FOLDER [-o OPTIONS]")
	}
	return places[0], places[1], text, nil
}

// Who mounts waits until it is mounted; what serves goes on without him, and holds none of his descriptors.
func startServing() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	child := exec.Command("/proc/self/exe", os.Args[1:]...)
	child.Env = append(os.Environ(), servesAs+"=1")
	child.ExtraFiles = []*os.File{write}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return err
	}
	write.Close()
	said, err := io.ReadAll(read)
	if err != nil {
		return err
	}
	if string(said) != mounted {
		return errors.New(strings.TrimSpace(string(said)))
	}
	return nil
}

const mounted = "mounted"

func serve(source, folder, text string, log *os.File) error {
	o, err := parseOptions(text)
	if err != nil {
		return err
	}
	server, path, ok := strings.Cut(source, ":")
	if !ok || !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s is no SERVER:/PATH", source)
	}
	if _, err := net.LookupHost(server); err != nil {
		return fmt.Errorf("Failed to resolve server %s: %w", server, err)
	}
	abandoned := make(chan struct{})
	giveUp := time.AfterFunc(time.Duration(o.retryMinutes)*time.Minute, func() { close(abandoned) })
	volume, err := openVolume(server, path, o.port, o.mountPort, abandoned)
	giveUp.Stop()
	if err != nil {
		return err
	}
	files := newFilesystem(volume, time.Duration(o.cacheSeconds)*time.Second)
	mount, err := fuse.NewServer(files, folder, &fuse.MountOptions{
		FsName: source, Name: "nfs", AllowOther: true, DirectMountStrict: true, DirectMountFlags: o.flags,
		MaxWrite: maxTransfer, MaxReadAhead: maxTransfer, MaxBackground: maxUnderWay, DisableXAttrs: true, DisableReadDirPlus: true,
	})
	if err != nil {
		return err
	}
	files.forget = func(id uint64) { mount.InodeNotify(id, -1, 0) }
	go mount.Serve()
	if err := mount.WaitMount(); err != nil {
		return err
	}
	os.Chdir("/")
	fmt.Fprint(log, mounted)
	log.Close()
	mount.Wait()
	return nil
}
