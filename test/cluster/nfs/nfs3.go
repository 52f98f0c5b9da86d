package main

import (
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

// NFS version 3, RFC 1813, and what it is found by: the port mapper (RFC 1833) and the MOUNT protocol (its appendix I).

const (
	portmapProgram, portmapVersion, portmapGetPort = 100000, 2, 3
	mountProgram, mountVersion, mountMount         = 100005, 3, 1
	nfsProgram, nfsVersion                         = 100003, 3
	portmapPort, nfsPort                           = 111, 2049
	overTCP                                        = 6
)

const (
	procGetAttr = 1 + iota
	procSetAttr
	procLookup
	procAccess
	procReadLink
	procRead
	procWrite
	procCreate
	procMkdir
	procSymlink
	procMknod
	procRemove
	procRmdir
	procRename
	procLink
	procReadDir
	procReadDirPlus
	procFsStat
	procFsInfo
	procPathConf
	procCommit
)

const (
	createUnchecked, createExclusive = 0, 2
	writeUnstable                    = 0
	jukebox                          = 10008
	jukeboxAfter                     = time.Second
)

// Those below 32 are errno's own (2.6).
var errnos = map[uint32]syscall.Errno{
	63: syscall.ENAMETOOLONG, 66: syscall.ENOTEMPTY, 69: syscall.EDQUOT, 70: syscall.ESTALE, 71: syscall.EREMOTE,
	10001: syscall.ESTALE, 10003: syscall.EINVAL, 10004: syscall.EOPNOTSUPP, 10005: syscall.EINVAL,
}

func errno(status uint32) syscall.Errno {
	if found, ok := errnos[status]; ok {
		return found
	}
	if status < 32 {
		return syscall.Errno(status)
	}
	return syscall.EREMOTEIO
}

type volume struct {
	client *client
	root   string
	// The most that one READ and one WRITE may have.
	readSize, writeSize int
}

func (v *volume) call(procedure uint32, as credential, arguments *writer, abandoned <-chan struct{}) (*reader, syscall.Errno) {
	for {
		r, err := v.client.call(nfsProgram, nfsVersion, procedure, as, arguments.bytes, abandoned)
		if err != 0 {
			return nil, err
		}
		status := r.uint32()
		if status == 0 {
			return r, 0
		}
		if status != jukebox {
			return nil, errno(status)
		}
		select {
		case <-time.After(jukeboxAfter):
		case <-abandoned:
			return nil, syscall.EINTR
		}
	}
}

type attributes struct {
	kind, mode, links, uid, gid, rdev uint32
	size, used, inode                 uint64
	accessed, modified, changed       timestamp
}

type timestamp struct{ seconds, nanoseconds uint32 }

func (r *reader) timestamp() timestamp { return timestamp{r.uint32(), r.uint32()} }

func (r *reader) attributes() attributes {
	a := attributes{kind: r.uint32(), mode: r.uint32(), links: r.uint32(), uid: r.uint32(), gid: r.uint32(), size: r.uint64(), used: r.uint64()}
	major, minor := r.uint32(), r.uint32()
	a.rdev = major<<8 | minor
	r.uint64()
	a.inode = r.uint64()
	a.accessed, a.modified, a.changed = r.timestamp(), r.timestamp(), r.timestamp()
	return a
}

func (r *reader) maybeAttributes() *attributes {
	if !r.bool() {
		return nil
	}
	a := r.attributes()
	return &a
}

// Of a file before and after (wcc_data).
func (r *reader) change() {
	if r.bool() {
		r.take(24)
	}
	r.maybeAttributes()
}

func (v *volume) getAttributes(handle string, as credential, abandoned <-chan struct{}) (*attributes, syscall.Errno) {
	r, err := v.call(procGetAttr, as, (&writer{}).string(handle), abandoned)
	if err != 0 {
		return nil, err
	}
	a := r.attributes()
	return &a, cut(r)
}

func (v *volume) lookup(folder, name string, as credential, abandoned <-chan struct{}) (string, *attributes, syscall.Errno) {
	r, err := v.call(procLookup, as, (&writer{}).string(folder).string(name), abandoned)
	if err != 0 {
		return "", nil, err
	}
	handle := string(r.opaque())
	a := r.maybeAttributes()
	if r.isCut {
		return "", nil, syscall.EIO
	}
	if a == nil {
		a, err = v.getAttributes(handle, as, abandoned)
	}
	return handle, a, err
}

func cut(r *reader) syscall.Errno {
	if r.isCut {
		return syscall.EIO
	}
	return 0
}

// Where the server exports the path; gives up when `abandoned` is closed.
func openVolume(server, path string, port, mountPort int, abandoned <-chan struct{}) (*volume, error) {
	root := credential{}
	ask := func(port int, program, version, procedure uint32, arguments *writer) (*reader, error) {
		asked := dial(net.JoinHostPort(server, strconv.Itoa(port)))
		defer asked.close()
		r, err := asked.call(program, version, procedure, root, arguments.bytes, abandoned)
		if err == syscall.EINTR {
			return nil, fmt.Errorf("Connection timed out")
		}
		if err != 0 {
			return nil, err
		}
		return r, nil
	}
	if mountPort == 0 {
		r, err := ask(portmapPort, portmapProgram, portmapVersion, portmapGetPort, (&writer{}).uint32(mountProgram, mountVersion, overTCP, 0))
		if err != nil {
			return nil, err
		}
		if mountPort = int(r.uint32()); mountPort == 0 {
			return nil, fmt.Errorf("requested NFS version or transport protocol is not supported")
		}
	}
	r, err := ask(mountPort, mountProgram, mountVersion, mountMount, (&writer{}).string(path))
	if err != nil {
		return nil, err
	}
	if status := r.uint32(); status != 0 {
		return nil, fmt.Errorf("mounting %s:%s failed, reason given by server: %w", server, path, errno(status))
	}
	v := &volume{client: dial(net.JoinHostPort(server, strconv.Itoa(port))), root: string(r.opaque())}
	info, failed := v.call(procFsInfo, root, (&writer{}).string(v.root), abandoned)
	if failed != 0 {
		return nil, failed
	}
	info.maybeAttributes()
	most := info.uint32()
	info.take(8)
	v.readSize, v.writeSize = int(min(most, maxTransfer)), int(min(info.uint32(), maxTransfer))
	if info.isCut || v.readSize == 0 || v.writeSize == 0 {
		return nil, syscall.EIO
	}
	return v, nil
}
