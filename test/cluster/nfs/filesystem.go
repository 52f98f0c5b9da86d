package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// What the kernel asks of FUSE, asked of the server. An operation waits for the server however long that takes, and ends before it only where its process is being
// killed: `hard` of nfs(5).

const (
	maxTransfer = 1 << 20
	killedEvery = 100 * time.Millisecond
)

type node struct {
	id     uint64
	handle string
	// Of the kernel, of processes.
	lookups, opens uint64
	// What open saw last: another one makes the kernel ask again.
	modified timestamp
	size     uint64
	// What was written and is not yet known to be on the server's disk, by the server's start in which it was written.
	isDirty, isLost bool
	verifier        string
	// Where it lies, open and without a name.
	silly *place
}

type place struct{ folder, name string }

type filesystem struct {
	fuse.RawFileSystem
	volume *volume
	// How long names and attributes are believed.
	cached time.Duration
	// Invalidates the kernel's attributes of a node.
	forget   func(id uint64)
	mutex    sync.Mutex
	last     uint64
	nodes    map[uint64]*node
	byHandle map[string]*node
	// Cookie verifiers of folders that are being read.
	folders map[uint64][]byte
}

func newFilesystem(volume *volume, cached time.Duration) *filesystem {
	root := &node{id: fuse.FUSE_ROOT_ID, handle: volume.root, lookups: 1}
	return &filesystem{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		volume:        volume,
		cached:        cached,
		last:          root.id,
		nodes:         map[uint64]*node{root.id: root},
		byHandle:      map[string]*node{root.handle: root},
		folders:       map[uint64][]byte{},
	}
}

func (f *filesystem) node(id uint64) *node {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.nodes[id]
}

func as(header *fuse.InHeader) credential { return credential{header.Uid, header.Gid} }

// Closed when the process of a cancelled operation is being killed; another signal waits, and so does one that comes after it.
func killed(cancel <-chan struct{}, pid uint32) (<-chan struct{}, func()) {
	abandoned, done := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case <-cancel:
		}
		for !isKilled(pid) {
			select {
			case <-done:
				return
			case <-time.After(killedEvery):
			}
		}
		close(abandoned)
	}()
	return abandoned, func() { close(done) }
}

// SIGKILL pends in every thread of a process that a signal ends. One that is gone was.
func isKilled(pid uint32) bool {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(int(pid)), "status"))
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(status)) {
		if mask, ok := strings.CutPrefix(line, "SigPnd:"); ok {
			bits, _ := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return bits&(1<<(syscall.SIGKILL-1)) != 0
		}
	}
	return false
}

func (f *filesystem) ask(cancel <-chan struct{}, header *fuse.InHeader, procedure uint32, arguments *writer) (*reader, syscall.Errno) {
	abandoned, done := killed(cancel, header.Pid)
	defer done()
	return f.volume.call(procedure, as(header), arguments, abandoned)
}

var kinds = []uint32{0, syscall.S_IFREG, syscall.S_IFDIR, syscall.S_IFBLK, syscall.S_IFCHR, syscall.S_IFLNK, syscall.S_IFSOCK, syscall.S_IFIFO}

func fill(out *fuse.Attr, a *attributes) {
	kind := uint32(0)
	if int(a.kind) < len(kinds) {
		kind = kinds[a.kind]
	}
	*out = fuse.Attr{
		Ino: a.inode, Size: a.size, Blocks: (a.used + 511) / 512, Blksize: maxTransfer,
		Mode: kind | a.mode&07777, Nlink: a.links, Owner: fuse.Owner{Uid: a.uid, Gid: a.gid}, Rdev: a.rdev,
		Atime: uint64(a.accessed.seconds), Atimensec: a.accessed.nanoseconds,
		Mtime: uint64(a.modified.seconds), Mtimensec: a.modified.nanoseconds,
		Ctime: uint64(a.changed.seconds), Ctimensec: a.changed.nanoseconds,
	}
}

// A file has one node, however many names it has.
func (f *filesystem) enter(out *fuse.EntryOut, handle string, a *attributes) *node {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	found := f.byHandle[handle]
	if found == nil {
		f.last++
		found = &node{id: f.last, handle: handle, modified: a.modified, size: a.size}
		f.nodes[found.id], f.byHandle[handle] = found, found
	}
	found.lookups++
	out.NodeId = found.id
	fill(&out.Attr, a)
	out.SetEntryTimeout(f.cached)
	out.SetAttrTimeout(f.cached)
	return found
}

func (f *filesystem) Forget(id, lookups uint64) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if found := f.nodes[id]; found != nil && id != fuse.FUSE_ROOT_ID {
		if found.lookups -= min(lookups, found.lookups); found.lookups == 0 {
			delete(f.nodes, id)
			delete(f.byHandle, found.handle)
		}
	}
}

func (f *filesystem) Lookup(cancel <-chan struct{}, header *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	abandoned, done := killed(cancel, header.Pid)
	defer done()
	handle, a, err := f.volume.lookup(f.node(header.NodeId).handle, name, as(header), abandoned)
	if err != 0 {
		return fuse.Status(err)
	}
	f.enter(out, handle, a)
	return fuse.OK
}

func (f *filesystem) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	abandoned, done := killed(cancel, in.Pid)
	defer done()
	a, err := f.volume.getAttributes(f.node(in.NodeId).handle, as(&in.InHeader), abandoned)
	if err != 0 {
		return fuse.Status(err)
	}
	fill(&out.Attr, a)
	out.SetTimeout(f.cached)
	return fuse.OK
}

func (f *filesystem) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	arguments := (&writer{}).string(f.node(in.NodeId).handle)
	set := func(flag, value uint32) {
		if in.Valid&flag == 0 {
			arguments.uint32(0)
		} else {
			arguments.uint32(1, value)
		}
	}
	set(fuse.FATTR_MODE, in.Mode&07777)
	set(fuse.FATTR_UID, in.Uid)
	set(fuse.FATTR_GID, in.Gid)
	if in.Valid&fuse.FATTR_SIZE == 0 {
		arguments.uint32(0)
	} else {
		arguments.uint32(1).uint64(in.Size)
	}
	stamp := func(flag, now uint32, seconds uint64, nanoseconds uint32) {
		switch {
		case in.Valid&now != 0:
			arguments.uint32(1)
		case in.Valid&flag != 0:
			arguments.uint32(2, uint32(seconds), nanoseconds)
		default:
			arguments.uint32(0)
		}
	}
	stamp(fuse.FATTR_ATIME, fuse.FATTR_ATIME_NOW, in.Atime, in.Atimensec)
	stamp(fuse.FATTR_MTIME, fuse.FATTR_MTIME_NOW, in.Mtime, in.Mtimensec)
	arguments.uint32(0) // whatever its ctime is
	if _, err := f.ask(cancel, &in.InHeader, procSetAttr, arguments); err != 0 {
		return fuse.Status(err)
	}
	return f.GetAttr(cancel, &fuse.GetAttrIn{InHeader: in.InHeader}, out)
}

func (f *filesystem) Access(cancel <-chan struct{}, in *fuse.AccessIn) fuse.Status {
	const read, lookup, modify, extend, execute = 1, 2, 4, 8, 32
	wanted := uint32(0)
	for right, bits := range map[uint32]uint32{fuse.R_OK: read, fuse.W_OK: modify | extend, fuse.X_OK: lookup | execute} {
		if in.Mask&right != 0 {
			wanted |= bits
		}
	}
	r, err := f.ask(cancel, &in.InHeader, procAccess, (&writer{}).string(f.node(in.NodeId).handle).uint32(wanted))
	if err != 0 {
		return fuse.Status(err)
	}
	r.maybeAttributes()
	granted := r.uint32()
	// What is a folder has no right to execute, and what is a file none to look up.
	if granted&(lookup|execute) != 0 {
		granted |= lookup | execute
	}
	if wanted&^granted != 0 {
		return fuse.EACCES
	}
	return fuse.OK
}

// What is set at creation: mode, and a size of 0 where it is truncated.
func newAttributes(mode uint32, isTruncated bool) *writer {
	w := (&writer{}).uint32(1, mode&07777, 0, 0)
	if isTruncated {
		w.uint32(1).uint64(0)
	} else {
		w.uint32(0)
	}
	return w.uint32(0, 0)
}

// The answer of what makes a name: a server may leave out the handle and the attributes.
func (f *filesystem) made(cancel <-chan struct{}, header *fuse.InHeader, r *reader, folder, name string) (string, *attributes, syscall.Errno) {
	handle := ""
	if r.bool() {
		handle = string(r.opaque())
	}
	if a := r.maybeAttributes(); handle != "" && a != nil && !r.isCut {
		return handle, a, 0
	}
	abandoned, done := killed(cancel, header.Pid)
	defer done()
	return f.volume.lookup(folder, name, as(header), abandoned)
}

func (f *filesystem) makeName(cancel <-chan struct{}, header *fuse.InHeader, name string, procedure uint32, what []byte, out *fuse.EntryOut) fuse.Status {
	folder := f.node(header.NodeId).handle
	r, err := f.ask(cancel, header, procedure, &writer{append((&writer{}).string(folder).string(name).bytes, what...)})
	if err != 0 {
		return fuse.Status(err)
	}
	handle, a, err := f.made(cancel, header, r, folder, name)
	if err != 0 {
		return fuse.Status(err)
	}
	f.enter(out, handle, a)
	return fuse.OK
}

func (f *filesystem) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return f.makeName(cancel, &in.InHeader, name, procMkdir, newAttributes(in.Mode, false).bytes, out)
}

func (f *filesystem) Symlink(cancel <-chan struct{}, header *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return f.makeName(cancel, header, name, procSymlink, newAttributes(0777, false).string(target).bytes, out)
}

func (f *filesystem) Readlink(cancel <-chan struct{}, header *fuse.InHeader) ([]byte, fuse.Status) {
	r, err := f.ask(cancel, header, procReadLink, (&writer{}).string(f.node(header.NodeId).handle))
	if err != 0 {
		return nil, fuse.Status(err)
	}
	r.maybeAttributes()
	return r.opaque(), fuse.Status(cut(r))
}

func (f *filesystem) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	handle := f.node(in.Oldnodeid).handle
	arguments := (&writer{}).string(handle).string(f.node(in.NodeId).handle).string(name)
	if _, err := f.ask(cancel, &in.InHeader, procLink, arguments); err != 0 {
		return fuse.Status(err)
	}
	return f.Lookup(cancel, &in.InHeader, name, out)
}

func (f *filesystem) Rename(cancel <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	if in.Flags != 0 {
		return fuse.EINVAL
	}
	source, target := f.node(in.NodeId).handle, f.node(in.Newdir).handle
	if _, err := f.keepOpen(cancel, &in.InHeader, target, to); err != 0 {
		return fuse.Status(err)
	}
	_, err := f.ask(cancel, &in.InHeader, procRename, (&writer{}).string(source).string(from).string(target).string(to))
	return fuse.Status(err)
}

func (f *filesystem) Unlink(cancel <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	folder := f.node(header.NodeId).handle
	if isKept, err := f.keepOpen(cancel, header, folder, name); err != 0 || isKept {
		return fuse.Status(err)
	}
	_, err := f.ask(cancel, header, procRemove, (&writer{}).string(folder).string(name))
	return fuse.Status(err)
}

func (f *filesystem) Rmdir(cancel <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	_, err := f.ask(cancel, header, procRmdir, (&writer{}).string(f.node(header.NodeId).handle).string(name))
	return fuse.Status(err)
}

// A server knows nothing of what is open. So a file that is open here and loses its name gets another one, as Linux's client does it, until it is closed.
func (f *filesystem) keepOpen(cancel <-chan struct{}, header *fuse.InHeader, folder, name string) (bool, syscall.Errno) {
	abandoned, done := killed(cancel, header.Pid)
	defer done()
	handle, _, err := f.volume.lookup(folder, name, as(header), abandoned)
	if err != 0 {
		if err == syscall.ENOENT {
			err = 0
		}
		return false, err
	}
	f.mutex.Lock()
	found := f.byHandle[handle]
	isOpen := found != nil && found.opens > 0 && found.silly == nil
	f.mutex.Unlock()
	if !isOpen {
		return false, 0
	}
	silly := fmt.Sprintf(".nfs%s", rand.Text())
	if _, err := f.volume.call(procRename, as(header), (&writer{}).string(folder).string(name).string(folder).string(silly), abandoned); err != 0 {
		return false, err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	found.silly = &place{folder, silly}
	return true, 0
}

func (f *filesystem) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	folder := f.node(in.NodeId).handle
	arguments := (&writer{}).string(folder).string(name)
	isExclusive := in.Flags&syscall.O_EXCL != 0
	if isExclusive {
		// What is asked twice, since the first answer was lost, is known by it.
		verifier := make([]byte, 8)
		rand.Read(verifier)
		arguments.uint32(createExclusive).fixed(verifier)
	} else {
		arguments.uint32(createUnchecked)
		arguments.bytes = append(arguments.bytes, newAttributes(in.Mode, in.Flags&syscall.O_TRUNC != 0).bytes...)
	}
	r, err := f.ask(cancel, &in.InHeader, procCreate, arguments)
	if err != 0 {
		return fuse.Status(err)
	}
	handle, a, err := f.made(cancel, &in.InHeader, r, folder, name)
	if err != 0 {
		return fuse.Status(err)
	}
	created := f.enter(&out.EntryOut, handle, a)
	f.opened(created, a)
	if isExclusive {
		// The verifier stands in its times.
		set := fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{InHeader: in.InHeader, Mode: in.Mode}}
		set.NodeId = created.id
		set.Valid = fuse.FATTR_MODE | fuse.FATTR_ATIME_NOW | fuse.FATTR_MTIME_NOW
		var now fuse.AttrOut
		if status := f.SetAttr(cancel, &set, &now); status != fuse.OK {
			return status
		}
		out.Attr = now.Attr
	}
	return fuse.OK
}

func (f *filesystem) opened(found *node, a *attributes) {
	f.mutex.Lock()
	found.opens++
	isOther := found.modified != a.modified || found.size != a.size
	found.modified, found.size = a.modified, a.size
	f.mutex.Unlock()
	if isOther {
		f.forget(found.id)
	}
}

// Who opens a file sees what others wrote before they closed it: nothing that the kernel kept is believed any more.
func (f *filesystem) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	found := f.node(in.NodeId)
	if in.Flags&syscall.O_TRUNC != 0 {
		set := fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{InHeader: in.InHeader, Valid: fuse.FATTR_SIZE}}
		if status := f.SetAttr(cancel, &set, &fuse.AttrOut{}); status != fuse.OK {
			return status
		}
	}
	abandoned, done := killed(cancel, in.Pid)
	defer done()
	a, err := f.volume.getAttributes(found.handle, as(&in.InHeader), abandoned)
	if err != 0 {
		return fuse.Status(err)
	}
	f.opened(found, a)
	return fuse.OK
}

func (f *filesystem) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	f.mutex.Lock()
	found := f.nodes[in.NodeId]
	found.opens--
	silly := found.silly
	if found.opens > 0 {
		silly = nil
	}
	f.mutex.Unlock()
	if silly != nil {
		f.volume.call(procRemove, as(&in.InHeader), (&writer{}).string(silly.folder).string(silly.name), nil)
	}
}

func (f *filesystem) Read(cancel <-chan struct{}, in *fuse.ReadIn, buffer []byte) (fuse.ReadResult, fuse.Status) {
	handle := f.node(in.NodeId).handle
	buffer = buffer[:min(int(in.Size), len(buffer))]
	for at := 0; at < len(buffer); {
		count := min(len(buffer)-at, f.volume.readSize)
		r, err := f.ask(cancel, &in.InHeader, procRead, (&writer{}).string(handle).uint64(in.Offset+uint64(at)).uint32(uint32(count)))
		if err != 0 {
			return nil, fuse.Status(err)
		}
		r.maybeAttributes()
		r.uint32()
		isEnd, data := r.bool(), r.opaque()
		if r.isCut {
			return nil, fuse.EIO
		}
		at += copy(buffer[at:], data)
		if isEnd || len(data) == 0 {
			return fuse.ReadResultData(buffer[:at]), fuse.OK
		}
	}
	return fuse.ReadResultData(buffer), fuse.OK
}

func (f *filesystem) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	found := f.node(in.NodeId)
	written := 0
	for written < len(data) {
		piece := data[written:min(len(data), written+f.volume.writeSize)]
		arguments := (&writer{}).string(found.handle).uint64(in.Offset+uint64(written)).uint32(uint32(len(piece)), writeUnstable).opaque(piece)
		r, err := f.ask(cancel, &in.InHeader, procWrite, arguments)
		if err != 0 {
			return uint32(written), fuse.Status(err)
		}
		r.change()
		count, committed, verifier := int(r.uint32()), r.uint32(), string(r.take(8))
		if r.isCut || count == 0 || count > len(piece) {
			return uint32(written), fuse.EIO
		}
		written += count
		if committed == writeUnstable {
			f.wrote(found, verifier)
		}
	}
	return uint32(written), fuse.OK
}

// A server that was started anew may have lost what it had not on its disk. Linux's client writes that again; this one keeps nothing, and says that it is lost.
func (f *filesystem) wrote(found *node, verifier string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	found.isLost = found.isLost || found.isDirty && found.verifier != verifier
	found.isDirty, found.verifier = true, verifier
}

func (f *filesystem) commit(cancel <-chan struct{}, header *fuse.InHeader) fuse.Status {
	found := f.node(header.NodeId)
	f.mutex.Lock()
	isDirty := found.isDirty
	found.isDirty = false
	f.mutex.Unlock()
	if !isDirty {
		return fuse.OK
	}
	r, err := f.ask(cancel, header, procCommit, (&writer{}).string(found.handle).uint64(0).uint32(0))
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if err != 0 {
		found.isDirty = true
		return fuse.Status(err)
	}
	r.change()
	isLost := found.isLost || string(r.take(8)) != found.verifier
	found.isLost = false
	if isLost {
		return fuse.EIO
	}
	return fuse.OK
}

func (f *filesystem) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	return f.commit(cancel, &in.InHeader)
}

func (f *filesystem) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return f.commit(cancel, &in.InHeader)
}

// A name is on the server's disk when the server says that it has it.
func (f *filesystem) FsyncDir(<-chan struct{}, *fuse.FsyncIn) fuse.Status { return fuse.OK }

func (f *filesystem) OpenDir(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.last++
	out.Fh = f.last
	f.folders[out.Fh] = make([]byte, 8)
	return fuse.OK
}

func (f *filesystem) ReleaseDir(in *fuse.ReleaseIn) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.folders, in.Fh)
}

func (f *filesystem) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	f.mutex.Lock()
	verifier := f.folders[in.Fh]
	f.mutex.Unlock()
	if in.Offset == 0 {
		verifier = make([]byte, 8)
	}
	arguments := (&writer{}).string(f.node(in.NodeId).handle).uint64(in.Offset).fixed(verifier).uint32(max(in.Size, 4096))
	r, err := f.ask(cancel, &in.InHeader, procReadDir, arguments)
	if err != 0 {
		return fuse.Status(err)
	}
	r.maybeAttributes()
	verifier = r.take(8)
	f.mutex.Lock()
	f.folders[in.Fh] = verifier
	f.mutex.Unlock()
	for r.bool() {
		inode, name, cookie := r.uint64(), string(r.opaque()), r.uint64()
		if r.isCut || !out.AddDirEntry(fuse.DirEntry{Name: name, Ino: inode, Off: cookie}) {
			break
		}
	}
	return fuse.Status(cut(r))
}

func (f *filesystem) StatFs(cancel <-chan struct{}, header *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	const block, longestName = 4096, 255
	r, err := f.ask(cancel, header, procFsStat, (&writer{}).string(f.node(header.NodeId).handle))
	if err != 0 {
		return fuse.Status(err)
	}
	r.maybeAttributes()
	*out = fuse.StatfsOut{
		Blocks: r.uint64() / block, Bfree: r.uint64() / block, Bavail: r.uint64() / block,
		Files: r.uint64(), Ffree: r.uint64(), Bsize: block, Frsize: block, NameLen: longestName,
	}
	return fuse.Status(cut(r))
}
